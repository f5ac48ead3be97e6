// The executable with the addon inside and its documents, as one archive to unpack anywhere.
import { copyFile, mkdir, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Addon, TargetName } from "../support/build-targets.ts";
import { compile } from "../support/executable.ts";
import { projectDir } from "../support/project.ts";

const DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/configuration.md"];

export interface ArchiveOptions {
  readonly target: TargetName;
  readonly addon: Addon;
  readonly version: string;
  /** Where the archive is put. */
  readonly folder: string;
  readonly time: Date;
}

function run(command: readonly string[], cwd: string): void {
  const done = Bun.spawnSync([...command], { cwd, stderr: "pipe" });
  if (!done.success) throw new Error(`${command[0]} failed: ${done.stderr.toString().trim()}`);
}

/** Makes the archive and returns its path; equal sources give equal bytes. */
export async function makeArchive(options: ArchiveOptions): Promise<string> {
  const { target, addon, version, folder, time } = options;
  const name = `peat-sidecar-${version}-${target}`;
  const tree = join(folder, name);
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree, { recursive: true });
  await compile({ target, addon, folder: tree });
  await rm(join(tree, "peat-mesh-node"));
  await symlink("peat-sidecar", join(tree, "peat-mesh-node"));
  for (const path of DOCUMENTS) await copyFile(join(projectDir, path), join(tree, basename(path)));
  const owner = ["--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  const mtime = `--mtime=@${Math.floor(time.getTime() / 1000)}`;
  run(["tar", "--sort=name", mtime, "--format=gnu", ...owner, "-cf", `${name}.tar`, name], folder);
  run(["gzip", "-9nf", `${name}.tar`], folder);
  await rm(tree, { recursive: true });
  return join(folder, `${name}.tar.gz`);
}
