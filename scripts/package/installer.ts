// install.sh as it is published: with the public key of the release in it.
import type { KeyObject } from "node:crypto";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { projectDir } from "../support/project.ts";
import { publicKeyFile } from "./signatures.ts";

/** Here the key goes. */
const PLACE = "\nRELEASE_KEY=''\n";

/** Writes install.sh into the folder and returns its path. Without a key it wants one from who runs it. */
export async function writeInstaller(folder: string, key: KeyObject | undefined): Promise<string> {
  const parts = (await Bun.file(join(projectDir, "install.sh")).text()).split(PLACE);
  if (parts.length !== 2) throw new Error("install.sh has no single place for the key of releases");
  const path = join(folder, "install.sh");
  const keyText = key === undefined ? "" : publicKeyFile(key).trimEnd();
  await Bun.write(path, parts.join(`\nRELEASE_KEY='${keyText}'\n`));
  await chmod(path, 0o755);
  return path;
}
