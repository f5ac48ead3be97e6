// Folders from which files may be sent, each under its name.
import type { FileHandle } from "node:fs/promises";
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import type { RelativePath } from "./relative-path.ts";
import { SafeFolder } from "./safe-folder.ts";

export interface Root {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}

/** By name. Fault `settings_invalid` for two of one name, or one that can't be opened. */
export async function openRoots(roots: readonly Root[]): Promise<ReadonlyMap<string, string>> {
  const byName = new Map<string, string>();
  for (const { name, path } of roots) {
    if (byName.has(name)) {
      throw new Fault("settings_invalid", `PEAT_ATTACHMENT_ROOT: names ${name} twice`);
    }
    try {
      await using _ = await SafeFolder.open(path);
    } catch (error) {
      const sentence = `PEAT_ATTACHMENT_ROOT: ${path} can't be opened (${messageOf(error)}); name a directory that this user may read`;
      throw new Fault("settings_invalid", sentence, {}, error);
    }
    byName.set(name, path);
  }
  return byName;
}

/** The folder of a root. Fault `invalid_argument` tells the names that there are. */
export function rootAt(roots: ReadonlyMap<string, string>, name: string, field: string): string {
  const path = roots.get(name);
  if (path !== undefined) return path;
  const known = [...roots.keys()].join(", ");
  throw new Fault(
    "invalid_argument",
    `${field}.root_name: there is no root ${JSON.stringify(name.slice(0, 64))}, but ${known}`,
  );
}

/** What the system says, for people. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "leads through something that is no directory of the root (links are not followed)",
  ELOOP: "is a link, and links are not followed",
  EACCES: "may not be read by this user",
};

/** The regular file at a path below a root, to be closed by the caller. Fault `invalid_argument`. */
export async function openBelow(
  root: string,
  path: RelativePath,
  field: string,
): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    await using top = await SafeFolder.open(root);
    await using folder = await top.parentOf(path);
    file = await folder.openFile(path.at(-1) ?? "");
  } catch (error) {
    const reason = REASONS[systemCode(error)] ?? messageOf(error);
    throw new Fault("invalid_argument", `${field}.relative_path: ${reason}`, {}, error);
  }
  if (file !== undefined) return file;
  throw new Fault("invalid_argument", `${field}.relative_path: is no regular file`);
}
