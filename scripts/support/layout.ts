// The files as they lie on a machine: what images and packages are made of.
//
//   usr/bin/peat-sidecar, usr/bin/peat-mesh-node -> peat-sidecar
//   usr/lib/peat-sidecar/iroh.node    beside the executable and not in it: nothing is unpacked at run time
//   usr/share/doc/peat-sidecar/LICENSE
//   data/                             empty
import { chmod, copyFile, mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { TargetName } from "./build-targets.ts";
import { ADDON_PATH, compile } from "./executable.ts";
import { projectDir } from "./project.ts";
import { quieten } from "./quiet-addon.ts";

export interface LayoutOptions {
  readonly target: TargetName;
  /** The QUIC addon as it was published or built; the copy asks no router. */
  readonly library: string;
  /** Made if it is missing, and must be empty. */
  readonly folder: string;
}

const LICENSE_PATH = "/usr/share/doc/peat-sidecar/LICENSE";

/** Compiles and lays out. The modes are set one by one: whoever builds may have any umask. */
export async function layOut({ target, library, folder }: LayoutOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`);
  const binFolder = join(folder, "usr/bin");
  const addon = join(folder, ADDON_PATH);
  const license = join(folder, LICENSE_PATH);
  for (const path of [binFolder, dirname(addon), dirname(license), join(folder, "data")]) {
    await mkdir(path, { recursive: true });
  }
  await compile({ target, addon: undefined, folder: binFolder });
  await Bun.write(addon, quieten(await Bun.file(library).bytes()));
  await copyFile(join(projectDir, "LICENSE"), license);
  for (const file of [addon, license]) await chmod(file, 0o644);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
}
