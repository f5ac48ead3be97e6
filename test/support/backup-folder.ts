// A data directory with a few documents in a folder of a test's own, and the commands that back it up.
import { expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { SealOptions } from "../../src/store/seal.ts";
import type { Store } from "../../src/store/store.ts";
import { ROOT } from "../../src/store/sums.ts";
import { openFileStore } from "./file-store.ts";
import { put, remove } from "./memory-store.ts";
import { type Ran, runCommand } from "./run-command.ts";
import { type TempFolder, tempFolder } from "./temp-folder.ts";

const SECRET = Buffer.alloc(32, 7).toString("base64");

export function environment(folder: TempFolder, more: Readonly<Record<string, string>> = {}) {
  return {
    PEAT_FORMATION_SECRET: SECRET,
    PEAT_NODE_ID: "node-a",
    PEAT_DATA_DIR: folder.file("data"),
    PEAT_RUNTIME_DIR: folder.path,
    // Nobody is there.
    PEAT_BROKER_PORT: "1",
    ...more,
  };
}

export const run = (
  folder: TempFolder,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Ran> => runCommand(args, { environment: environment(folder, more) });

/** The store of a data directory, as a node opens it. */
export function openData(folder: TempFolder, name = "data", encryption?: SealOptions): Store {
  mkdirSync(join(folder.file(name), "automerge"), { recursive: true, mode: 0o700 });
  const path = join(folder.file(name), "automerge", "peat.db");
  return openFileStore(path, { encryption }).store;
}

export async function fill(store: Store): Promise<void> {
  await put(store, "notes:1", { x: 1 });
  await put(store, "tracks:1", { lat: 48.5 });
  await put(store, "notes:gone", { x: 2 });
  await remove(store, "notes:gone");
}

/** A directory with documents, closed, and a backup of it. */
export async function withBackup(encryption?: SealOptions) {
  const folder = tempFolder();
  const store = openData(folder, "data", encryption);
  await fill(store);
  const sum = store.sum(ROOT);
  store.close();
  const file = folder.file("a.peat-backup");
  const made = await run(folder, ["backup", file]);
  expect([made.code, made.stderr]).toEqual([0, ""]);
  return { folder, file, sum, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** Everything below `path`, with content. */
export function snapshot(path: string): Record<string, string> {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const at = join(path, name);
      const status = statSync(at);
      return [name, status.isFile() ? readFileSync(at).toString("base64") : "folder"];
    }),
  );
}
