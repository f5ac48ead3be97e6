// By which keys a file is encrypted: told in it, so that a wrong key is known at the start and not by documents
// that can't be read.
//
//   meta "sealed_with" = crc32 (hex) " " comma list of key ids, and "clear" where cells in the clear may be left;
//   absent: clear; and "remains" where unused parts of pages may still hold what once lay in the clear,
//   with "tried" while the file is rewritten for that
import type { Database as Sqlite } from "bun:sqlite";
import { dirname } from "node:path";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { type KeyId, SEALED_HEAD_BYTES, type Seal, sealedBy } from "./seal.ts";

const log = getLog("peat_mesh::storage::automerge_store");

const META = "sealed_with";
const CLEAR = "clear";
const REMAINS = "remains";
/** The rewriting was begun and has not ended: whoever started the process had no patience for it. */
const TRIED = "tried";
/** Larger files are rewritten at a start: it takes some 15 s for each GB, in which nothing else is done. */
const REWRITE_BYTES_MAX = 64 * 1024 * 1024;

/** Tables with cells that are sealed. */
const TABLES = ["documents", "set_aside", "guest_histories", "renderings"];

function isEmpty(sqlite: Sqlite): boolean {
  return TABLES.every((table) => sqlite.query(`SELECT 1 FROM ${table} LIMIT 1`).get() === null);
}

function readIds(sqlite: Sqlite): string[] {
  const query = sqlite.query<{ value: string }, [string]>("SELECT value FROM meta WHERE name = ?");
  const value = query.get(META)?.value;
  if (value === undefined) return isEmpty(sqlite) ? [] : [CLEAR];
  const [crc, ids = ""] = value.split(" ");
  return crc === crcOf(ids) ? ids.split(",") : findIds(sqlite);
}

/** The list is damaged: the documents tell, each in the beginning of its state. */
function findIds(sqlite: Sqlite): string[] {
  const query = sqlite.query<{ head: unknown }, []>(
    `SELECT DISTINCT substr(state, 1, ${SEALED_HEAD_BYTES}) AS head FROM documents`,
  );
  const ids = query
    .all()
    .map(({ head }) => (head instanceof Uint8Array ? sealedBy(head) : undefined));
  return [...new Set([CLEAR, ...ids.map((id) => id ?? CLEAR)])];
}

function crcOf(ids: string): string {
  return Bun.hash.crc32(ids).toString(16);
}

function writeIds(sqlite: Sqlite, ids: readonly string[]): void {
  sqlite
    .query("INSERT OR REPLACE INTO meta VALUES (?, ?)")
    .run(META, `${crcOf(ids.join(","))} ${ids.join(",")}`);
}

/** Says something of the file, and nothing of what its cells are sealed by. */
const isMark = (id: string): boolean => id === REMAINS || id === TRIED;
const isKey = (id: string): boolean => id !== CLEAR && !isMark(id);
const ownId = (seal: Seal): string => seal.keyId ?? CLEAR;

/** Of what is sealed by a key that is not given. */
function locked(path: string, missing: readonly string[], seal: Seal): Fault {
  const by = `${path} is encrypted by key ${missing.join(" and ")}`;
  const [given] = seal.keyIds;
  const has =
    given === undefined
      ? "PEAT_ENCRYPTION_KEY is not set; set it to that key"
      : `PEAT_ENCRYPTION_KEY and PEAT_ENCRYPTION_KEY_PREVIOUS give ${seal.keyIds.join(" and ")}; add that key to PEAT_ENCRYPTION_KEY_PREVIOUS`;
  return new Fault(
    "settings_invalid",
    `${by}, and ${has}, or move the file away and let peers refill it`,
  );
}

/** Ids of the keys by which cells of the file may be sealed. */
export function keysOf(sqlite: Sqlite): readonly KeyId[] {
  return readIds(sqlite).filter(isKey);
}

/** Fault `settings_invalid` for a missing key. */
export function requireKeys(ids: readonly KeyId[], seal: Seal, path: string): void {
  const missing = ids.filter((id) => !seal.keyIds.includes(id));
  if (missing.length > 0) throw locked(path, missing, seal);
}

/**
 * Checks that every key is here by which the file may be sealed, and notes the one that is used from now on, durably,
 * before anything is sealed by it. Fault `settings_invalid` for a missing key.
 */
export function unlock(sqlite: Sqlite, seal: Seal, path: string): void {
  const ids = readIds(sqlite);
  requireKeys(ids.filter(isKey), seal, path);
  if (seal.keyId !== undefined) log.info("Documents are encrypted on disk", { key: seal.keyId });
  if (ids.includes(REMAINS)) rewriteFile(sqlite, ids, path);
  if (ids.includes(ownId(seal)) || (ids.length === 0 && seal.keyId === undefined)) return;
  writeIds(sqlite, [...readIds(sqlite), ownId(seal)]);
}

/** Page by page, so that nothing is left of what was overwritten; needs as much room again for a while. */
function rewriteFile(sqlite: Sqlite, ids: readonly string[], path: string): void {
  const rest = ids.filter((id) => id !== TRIED);
  if (rest.length < ids.length) {
    log.warn("The file was not rewritten in the time of the last start; the next one tries again");
    writeIds(sqlite, rest);
    return;
  }
  log.info("The file is rewritten once, so that nothing remains of what lay in the clear");
  try {
    writeIds(sqlite, [...rest, TRIED]);
    // Its copy would be held in memory otherwise; what is in it is encrypted.
    sqlite.exec("PRAGMA temp_store = FILE");
    sqlite.exec(`PRAGMA temp_store_directory = '${dirname(path).replaceAll("'", "''")}'`);
    sqlite.exec("VACUUM");
    sqlite.query("PRAGMA wal_checkpoint(TRUNCATE)").all();
  } catch (error) {
    log.warn("The file can't be rewritten; the next start tries again", {
      cause: messageOf(error),
    });
    giveUp(sqlite, rest);
    return;
  } finally {
    sqlite.exec("PRAGMA temp_store = MEMORY");
  }
  const left = rest.filter((id) => id !== REMAINS);
  writeIds(sqlite, left);
}

/** The log has grown to what was written of the new file: the room is given back. */
function giveUp(sqlite: Sqlite, ids: readonly string[]): void {
  try {
    sqlite.query("PRAGMA wal_checkpoint(TRUNCATE)").all();
    if (readIds(sqlite).includes(TRIED)) writeIds(sqlite, ids);
  } catch (error) {
    // A full disk is no reason not to start; the next one does it.
    log.debug("Rewriting not cleared up after", { cause: messageOf(error) });
  }
}

function fileBytes(sqlite: Sqlite): number {
  const query = sqlite.query<{ bytes: number }, []>(
    "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
  );
  return query.get()?.bytes ?? 0;
}

/** Whether there may be cells that are not as they would be written now. */
export function isMixed(sqlite: Sqlite, seal: Seal): boolean {
  return readIds(sqlite).some((id) => !isMark(id) && id !== ownId(seal));
}

/** Every cell is as it would be written now: earlier keys are needed no more. */
export function settle(sqlite: Sqlite, seal: Seal, path: string): void {
  const before = readIds(sqlite);
  const hasRemains =
    seal.keyId !== undefined && (before.includes(CLEAR) || before.includes(REMAINS));
  const ids = hasRemains ? [ownId(seal), REMAINS] : [ownId(seal)];
  writeIds(sqlite, ids);
  if (hasRemains && fileBytes(sqlite) <= REWRITE_BYTES_MAX) rewriteFile(sqlite, ids, path);
}
