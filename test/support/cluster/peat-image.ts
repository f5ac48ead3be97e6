// The image's contents as files of this machine: the layout that the Dockerfile copies, and what it says of the program.
import { join } from "node:path";
import { findAddon, hostTarget } from "../../../scripts/support/build-targets.ts";
import { ADDON_PATH } from "../../../scripts/support/executable.ts";
import { layOut } from "../../../scripts/support/layout.ts";
import { projectDir } from "../../../scripts/support/project.ts";
import type { Image } from "./container-process.ts";

const PROGRAM = "/usr/bin/peat-mesh-node";

function found(dockerfile: string, pattern: RegExp): string {
  const text = pattern.exec(dockerfile)?.[1];
  if (text === undefined) throw new Error(`the Dockerfile has no line like ${pattern}`);
  return text;
}

/** `folder` must be empty, and outlive all containers. */
export async function peatImage(folder: string): Promise<Image> {
  const addon = await findAddon(hostTarget());
  if (typeof addon === "string") throw new Error(addon);
  await layOut({ target: hostTarget(), library: addon.library, folder });
  const dockerfile = await Bun.file(join(projectDir, "Dockerfile")).text();
  const [name = "", value = ""] = found(dockerfile, /^ENV (.*)$/m).split("=");
  return {
    entrypoint: JSON.parse(found(dockerfile, /^ENTRYPOINT (.*)$/m)) as string[],
    user: Number(found(dockerfile, /^USER (\d+):\d+$/m)),
    env: { [name]: value },
    files: { [PROGRAM]: join(folder, PROGRAM), [ADDON_PATH]: join(folder, ADDON_PATH) },
  };
}
