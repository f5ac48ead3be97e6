// Which files `attach send` means: a path on the node's machine, found below one of its roots, or ROOT:PATH.
import { realpathSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { Fault, messageOf } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { listIn, textField } from "./answer.ts";
import { askJson } from "./node.ts";
import type { NodeClient } from "./node-call.ts";
import { safeText } from "./terminal-text.ts";

export interface Root {
  readonly name: string;
  readonly path: string;
}

export interface NamedFile {
  readonly root_name: string;
  readonly relative_path: string;
}

export async function askRoots(node: NodeClient): Promise<readonly Root[]> {
  const answer = await askJson(node, { method: "GET", path: `${API}/attachment-roots` });
  return listIn(answer, "roots").flatMap((root) => {
    const name = textField(root, "name");
    const path = textField(root, "path");
    return name === undefined || path === undefined ? [] : [{ name, path }];
  });
}

function told(roots: readonly Root[]): string {
  const names = roots.map(({ name, path }) => `${name} (${path})`).join(", ");
  return safeText(names);
}

/** As the root's own path is meant: a root may be reached by a link. */
function realRoot({ path }: Root): string {
  try {
    return realpathSync(path);
  } catch {
    // Not to be seen by this user, or on another machine: what it is called is all that there is.
    return path;
  }
}

function below(root: Root, path: string): string | undefined {
  const way = relative(realRoot(root), path);
  const isBelow = way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
  return isBelow ? way : undefined;
}

/** Fault `invalid_argument` names the roots. */
export function findFile(word: string, roots: readonly Root[], isHere: boolean): NamedFile {
  const named = roots.find(({ name }) => word.startsWith(`${name}:`));
  if (named !== undefined) {
    return { root_name: named.name, relative_path: word.slice(named.name.length + 1) };
  }
  if (roots.length === 0) {
    throw new Fault("not_offered", "the node sends no files; set PEAT_ATTACHMENT_ROOT on it");
  }
  const shown = safeText(JSON.stringify(word));
  if (!isHere) {
    const sentence = `${shown} must be ROOT:PATH on another node; its roots are ${told(roots)}`;
    throw new Fault("invalid_argument", sentence);
  }
  let path: string;
  try {
    path = realpathSync(resolve(word));
  } catch (error) {
    throw new Fault("invalid_argument", `${shown}: ${messageOf(error)}`, {}, error);
  }
  for (const root of roots) {
    const way = below(root, path);
    if (way !== undefined) return { root_name: root.name, relative_path: way };
  }
  throw new Fault(
    "invalid_argument",
    `${shown} is below none of the roots from which files may be sent: ${told(roots)}`,
  );
}
