// A copy of a database that nobody else has: made whole from its file and its log, and looked at row by row before
// anybody believes it.
import { Database as Sqlite } from "bun:sqlite";
import { statSync } from "node:fs";
import { toHex } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { HistoryDocument } from "./history.ts";
import { checkIntegrity } from "./integrity.ts";
import { COLUMNS, damageOf, fromRaw, isIntact, type RawRow, type Row } from "./row.ts";
import { prepare, SCHEMA_VERSION } from "./schema.ts";
import { type KeyId, Seal, type SealOptions } from "./seal.ts";
import { NO_START } from "./stamp.ts";
import { decodeState, hashBytes, hashHistory } from "./state.ts";
import { checkWritable, damagedFile, toStorageFault } from "./storage-fault.ts";
import { keysOf, requireKeys } from "./unlock.ts";

const CACHE_BYTES = 16 * 1024 * 1024;
/** Rows in memory at a time; each may be megabytes. */
const ROWS = 32;
/** Names of damaged documents that are kept for telling. */
const NAMES_MAX = 20;

export interface CopyFacts {
  readonly storeId: string;
  readonly schema: number;
  /** Documents alive. */
  readonly documents: number;
  /** Deleted documents that are remembered whole. */
  readonly tombstones: number;
  /** Keys by which cells may be sealed; none: all lies in the clear. */
  readonly keys: readonly KeyId[];
  /** `hashes`: each document was opened and has its hash. `checksums`: without their keys no more could be seen. */
  readonly checked: "hashes" | "checksums";
  readonly damaged: number;
  /** The first of them, by their keys. */
  readonly damagedKeys: readonly string[];
}

export interface ExamineOptions {
  /** `required`: missing keys are a fault. `optional`: what they seal is looked at without being opened. */
  readonly keys: "required" | "optional";
  readonly encryption: SealOptions;
  readonly signal: AbortSignal;
  /** Called now and then with the number of rows that have been looked at, and of all. */
  readonly onProgress?: ((done: number, of: number) => void) | undefined;
}

function open(path: string): Sqlite {
  if (statSync(path).size === 0) throw damagedFile(path, "it is empty");
  const sqlite = new Sqlite(path, { create: false, readwrite: true, strict: true });
  try {
    prepare(sqlite, { path, cacheBytes: CACHE_BYTES });
    return sqlite;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function countOf(sqlite: Sqlite, where: string): number {
  const sql = `SELECT count(*) AS count FROM documents ${where}`;
  return sqlite.query<{ count: number }, []>(sql).get()?.count ?? 0;
}

function metaOf(sqlite: Sqlite, name: string): string | undefined {
  const query = sqlite.query<{ value: string }, [string]>("SELECT value FROM meta WHERE name = ?");
  return query.get(name)?.value;
}

/** Whether the state is the one that the row's hash names. */
function hasItsHash({ state: encoded, hash }: Row): boolean {
  try {
    const state = decodeState(encoded);
    if (state.form !== "history") return hashBytes(encoded) === hash;
    const document = HistoryDocument.load(state.chunks, NO_START);
    if (document === undefined) return false;
    try {
      return hashHistory(state, document.heads()) === hash;
    } finally {
      document.free();
    }
  } catch (error) {
    // Bytes that are no state, or no history.
    if (error instanceof Fault) return false;
    throw error;
  }
}

class Examination {
  readonly #sqlite: Sqlite;
  readonly #seal: Seal | undefined;
  damaged = 0;
  readonly damagedKeys: string[] = [];

  /** Without `seal` no cell is opened. */
  constructor(sqlite: Sqlite, seal: Seal | undefined) {
    this.#sqlite = sqlite;
    this.#seal = seal;
  }

  async run({ signal, onProgress }: ExamineOptions): Promise<void> {
    const rows = countOf(this.#sqlite, "");
    const query = this.#sqlite.query<RawRow, [number]>(
      `SELECT ${COLUMNS} FROM documents WHERE seq > ? ORDER BY seq LIMIT ${ROWS}`,
    );
    let [after, done] = [0, 0];
    while (true) {
      signal.throwIfAborted();
      const raws = query.all(after);
      for (const raw of raws) if (!this.#isGood(raw)) this.#add(raw);
      done += raws.length;
      onProgress?.(done, rows);
      const last = raws.at(-1)?.seq;
      if (last === undefined) return;
      after = last;
      // Signals and the progress of others have their turn.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #isGood(raw: RawRow): boolean {
    if (this.#seal === undefined) return isIntact(raw);
    const row = fromRaw(raw, this.#seal);
    return damageOf(row) === undefined && !("damaged" in row) && hasItsHash(row);
  }

  #add({ key }: RawRow): void {
    this.damaged += 1;
    if (this.damagedKeys.length < NAMES_MAX) this.damagedKeys.push(String(key));
  }
}

/**
 * Makes the file and its log one file, in the schema of this version, and looks at all of it. Faults:
 * storage_unusable (damaged, not ours, from a later version), settings_invalid for a missing key, storage_full,
 * storage_failed; the reason of `signal`.
 */
export async function examineCopy(path: string, options: ExamineOptions): Promise<CopyFacts> {
  let sqlite: Sqlite | undefined;
  try {
    sqlite = open(path);
    checkIntegrity(sqlite, path);
    const keys = keysOf(sqlite);
    const seal = new Seal(options.encryption);
    if (options.keys === "required") requireKeys(keys, seal, path);
    const canOpen = keys.every((id) => seal.keyIds.includes(id));
    const examination = new Examination(sqlite, canOpen ? seal : undefined);
    await examination.run(options);
    const storeId = metaOf(sqlite, "store_id");
    if (storeId === undefined) throw damagedFile(path, "it has no name");
    return {
      storeId,
      schema: SCHEMA_VERSION,
      documents: countOf(sqlite, "WHERE deleted = 0"),
      tombstones: countOf(sqlite, "WHERE deleted = 1"),
      keys,
      checked: canOpen ? "hashes" : "checksums",
      damaged: examination.damaged,
      damagedKeys: examination.damagedKeys,
    };
  } catch (error) {
    throw options.signal.aborted ? options.signal.reason : toStorageFault(error, path);
  } finally {
    // Writes the log back: one file is left.
    sqlite?.close();
  }
}

/**
 * Gives a copy that becomes a node's database a name of its own, so that two of one origin are two; what was told of
 * its commits stays true. Faults: storage_*.
 */
export function renameStore(path: string): void {
  let sqlite: Sqlite | undefined;
  try {
    sqlite = open(path);
    const storeId = toHex(crypto.getRandomValues(new Uint8Array(8)));
    sqlite.query("INSERT OR REPLACE INTO meta VALUES ('store_id', ?)").run(storeId);
  } catch (error) {
    throw toStorageFault(error, path);
  } finally {
    sqlite?.close();
  }
}

/**
 * Holds the lock of a database that no node has open, so that none begins to; returns the way to end that, once. Fault
 * `storage_locked` if one has.
 */
export function lockDatabase(path: string): () => void {
  let sqlite: Sqlite | undefined;
  try {
    checkWritable(path);
    const held = new Sqlite(path, { create: false, readwrite: true, strict: true });
    sqlite = held;
    held.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE");
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      held.exec("ROLLBACK");
      held.close();
    };
  } catch (error) {
    sqlite?.close();
    throw toStorageFault(error, path);
  }
}
