// Encrypted stores on files, with a word in every document that can be looked for in the files.
import { Database as Sqlite } from "bun:sqlite";
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { systemClock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/faults.ts";
import { Secret } from "../../src/base/secret.ts";
import type { EncryptionKey, SealOptions } from "../../src/store/seal.ts";
import type { Store } from "../../src/store/store.ts";
import { type FileStore, openFileStore } from "./file-store.ts";
import { key, put, read, remove } from "./memory-store.ts";
import type { TempFolder } from "./temp-folder.ts";

export const FIRST: EncryptionKey = new Secret(new Uint8Array(32).fill(1));
export const SECOND: EncryptionKey = new Secret(new Uint8Array(32).fill(2));
export const by = (present?: EncryptionKey, ...previous: EncryptionKey[]): SealOptions => ({
  key: present,
  previous,
});

/** In every document, and nowhere else. */
export const WORD = "Kupfermuckn";
const COLLECTIONS = ["tracks", "track_history", "notes"];
export const names = COLLECTIONS.flatMap((collection) =>
  [1, 2, 3].map((n) => `${collection}:${n}`),
);
export const deleted = "notes:deleted";

export function open(folder: TempFolder, encryption: SealOptions): FileStore {
  return openFileStore(folder.file("peat.db"), { encryption });
}

/** Something in every table that can hold content. */
export async function fill(store: Store): Promise<void> {
  for (const round of [1, 2]) {
    await Promise.all(
      [...names, deleted].map((name) => put(store, name, { round, name, word: WORD })),
    );
  }
  await remove(store, deleted);
  store.guests.set("guest", key("tracks:1"), new TextEncoder().encode(WORD));
  store.guests.flush();
  const isRendered = () => (store.renderings.waiting === 0 ? true : undefined);
  await waitFor("the renderings", 120_000, isRendered);
}

export function expectFilled(store: Store): void {
  for (const name of names) {
    expect(read(store, name)).toBe(`{"name":"${name}","round":2,"word":"${WORD}"}`);
  }
  expect(store.list("notes", { limit: 10 }).map(({ id }) => id)).toEqual(["1", "2", "3"]);
  const [aside] = store.contents.list({ why: "deleted", after: 0, limit: 10 });
  const content = store.contents.read(aside?.id ?? 0);
  expect(content).toContain(WORD);
  expect(aside?.bytes).toBe(content?.length ?? -1);
  expect(store.guests.get("guest", key("tracks:1"))).toEqual(new TextEncoder().encode(WORD));
  for (const name of ["tracks:1", "track_history:1"]) {
    const rendering = Buffer.from(store.renderings.read(key(name)) ?? []);
    expect(rendering.includes(WORD)).toBe(true);
  }
}

/** Files of the store in which the word can be read. */
export function filesWithWord(folder: TempFolder): string[] {
  return readdirSync(folder.path).filter((file) =>
    readFileSync(join(folder.path, file)).includes(WORD),
  );
}

export async function reseal(store: Store): Promise<void> {
  await store.resealing.run(systemClock, new AbortController().signal);
}

export function faultOf(folder: TempFolder, encryption: SealOptions): Fault {
  try {
    open(folder, encryption).store.close();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("it opened");
}

/** What every cell of the file begins with that is sealed or in the clear. */
export function keysInFile(folder: TempFolder): string[] {
  const sqlite = new Sqlite(folder.file("peat.db"), { readonly: true });
  const cells = [
    "state FROM documents",
    "json FROM documents WHERE json IS NOT NULL",
    "json FROM set_aside WHERE json IS NOT NULL",
    "tip FROM renderings",
    "chunks FROM rendering_parts",
    "state FROM rendering_parts WHERE state IS NOT NULL",
    "chunks FROM guest_histories",
  ].flatMap((from) => {
    const rows = sqlite.query<Record<string, Uint8Array | string>, []>(`SELECT ${from}`).all();
    expect(rows.length).toBeGreaterThan(0);
    return rows.flatMap((row) => Object.values(row));
  });
  sqlite.close();
  return [
    ...new Set(
      cells.map((cell) => {
        const head = typeof cell === "string" ? "" : Buffer.from(cell).toString("hex", 0, 12);
        return head.startsWith("e5454e02") ? head.slice(8) : "clear";
      }),
    ),
  ];
}
