// Is the file what SQLite wrote? Looked at once, at start, before anything is believed: some 4 s for each GB.
import type { Database as Sqlite } from "bun:sqlite";
import { messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { damagedFile, toStorageFault } from "./storage-fault.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** Findings that leave the tables whole: an index can be made again from them. */
const ONLY_AN_INDEX =
  /^(?:row \d+ (?:missing from|values differ from) index|wrong # of entries in index|non-unique entry in index|rowid not at end-of-record for row \d+ of index) /;

/** What every statement of ours needs to be there: a damaged schema may still be one that SQLite can read. */
const COLUMNS_USED = [
  "SELECT name, value FROM meta LIMIT 0",
  "SELECT seq, key, bucket, deleted, state, json, hash, written_at, newest_at, due, checksum FROM documents LIMIT 0",
  "SELECT key_hash, life, deleted_at, until FROM stubs LIMIT 0",
  "SELECT id, at, why, key, state, json, hash FROM set_aside LIMIT 0",
  "SELECT key, tip, bytes, parts FROM renderings LIMIT 0",
  "SELECT key, part, at, chunks, state FROM rendering_parts LIMIT 0",
];

function findings(sqlite: Sqlite): string[] {
  return sqlite
    .query<{ integrity_check: string }, []>("PRAGMA integrity_check(20)")
    .all()
    .flatMap((row) => row.integrity_check.split("\n"))
    .filter((text) => text !== "ok" && !text.startsWith("***"));
}

/** Mends damaged indexes; true if there were any. Fault `storage_unusable`, with the remedy, for anything worse. */
export function checkIntegrity(sqlite: Sqlite, path: string): boolean {
  try {
    for (const sql of COLUMNS_USED) sqlite.query(sql).all();
  } catch (error) {
    throw damagedFile(path, messageOf(error), error);
  }
  const found = findings(sqlite);
  const [first] = found;
  if (first === undefined) return false;
  if (!found.every((text) => ONLY_AN_INDEX.test(text))) throw damagedFile(path, first);
  try {
    sqlite.exec("REINDEX");
  } catch (error) {
    const fault = toStorageFault(error, path);
    if (fault.code === "storage_full") throw fault;
    // Two rows of one key: the table itself is wrong.
    throw damagedFile(path, `${first}; ${messageOf(error)}`, error);
  }
  const [left] = findings(sqlite);
  if (left !== undefined) throw damagedFile(path, left);
  log.error("Indexes of the database were damaged and have been made anew", { found: first });
  return true;
}
