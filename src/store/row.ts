// A document as it lies on disk and as it is read: its cells, opened and sealed; its checksum; what damage is.
import type { DocumentKey } from "./document-key.ts";
import { type Place, SEALED_EXTRA_BYTES, type Seal } from "./seal.ts";
import { bucketOf } from "./sums.ts";

/** One document as it lies on disk. */
export interface Row {
  /** Position in the order of commits; a document's newest commit only. */
  readonly seq: number;
  readonly key: DocumentKey;
  /** First bits of SHA-256(key): the leaf of the reconciliation tree. */
  readonly bucket: number;
  /** Not to be shown to readers: its state is a tombstone, or it is hidden. */
  readonly deleted: boolean;
  /** Too old to be served, or set aside, although its state is alive. */
  readonly hidden: boolean;
  /** Encoded State. */
  readonly state: Uint8Array;
  /** Canonical JSON; undefined for a deleted document. */
  readonly json: string | undefined;
  /** State hash, 32 hex digits. */
  readonly hash: string;
  /** Ms since the Unix epoch of the commit on this node. */
  readonly writtenAt: number;
  /** Ms of the newest write in the state, of its deletion if it is deleted. */
  readonly newestAt: number;
  /** Ms from which on it has had its time; undefined: never. */
  readonly due: number | undefined;
}

/** What the reconciliation tree needs of every document. */
export interface Leaf {
  readonly key: DocumentKey;
  readonly hash: string;
  /** Whether it is a tombstone. */
  readonly deleted: boolean;
}

/** What is counted of every document. */
export type CountedRow = Pick<Row, "key" | "bucket" | "hash" | "deleted" | "hidden" | "due">;

/** As SQLite has it. Damage may change a value's type, too. */
export type RawRow = {
  seq: number;
  key: string;
  bucket: number;
  deleted: number;
  state: Uint8Array;
  /** Text in the clear, bytes where it is sealed. */
  json: string | Uint8Array | null;
  hash: string;
  written_at: number;
  newest_at: number;
  due: number | null;
  checksum: number;
};

export type RawLeaf = Pick<RawRow, "bucket" | "key" | "hash" | "deleted" | "due">;

export const COLUMNS =
  "seq, key, bucket, deleted, state, json, hash, written_at, newest_at, due, checksum";

/** Values of the column `deleted`. */
const ALIVE = 0;
const DELETED = 1;
const HIDDEN = 2;

const NO_STATE = new Uint8Array(0);

/** A row that its checksum disowns, or that can't be opened. */
export interface DamagedRow {
  readonly damaged: true;
  readonly seq: number;
  readonly key: DocumentKey;
  /** Encoded State, as far as it can be read: the life that it tells is a guess. */
  readonly state: Uint8Array;
}

/** Where a document's state lies, in whatever table. */
export function statePlace(key: string): Place {
  return { column: "state", key };
}

export function jsonPlace(key: string): Place {
  return { column: "json", key };
}

/** In SQL: bytes of the text in `column`, sealed or not. */
export function textBytes(column: string): string {
  return `octet_length(${column}) - iif(typeof(${column}) = 'blob', ${SEALED_EXTRA_BYTES}, 0)`;
}

function deletedOf({ deleted, hidden }: Pick<Row, "deleted" | "hidden">): number {
  if (hidden) return HIDDEN;
  return deleted ? DELETED : ALIVE;
}

/** Detects what the disk changed behind our back; not a defence against people. Of the cells as they lie there. */
function checksumOf(raw: Omit<RawRow, "seq" | "written_at" | "bucket" | "checksum">): number {
  // Rows of the schemas before the third had no times.
  const isDeleted = raw.deleted !== ALIVE;
  const times =
    raw.newest_at === 0 ? isDeleted : `${raw.deleted}\n${raw.newest_at}\n${raw.due ?? ""}`;
  const isText = typeof raw.json === "string";
  const text = `${raw.key}\n${raw.hash}\n${times}\n${isText ? raw.json : ""}`;
  const sealed = isText || raw.json === null ? 0 : Bun.hash.crc32(raw.json);
  return (Bun.hash.crc32(raw.state) ^ Bun.hash.crc32(text) ^ sealed) >>> 0;
}

function hasTypes(raw: RawRow): boolean {
  return (
    typeof raw.key === "string" &&
    raw.state instanceof Uint8Array &&
    (raw.json === null || typeof raw.json === "string" || raw.json instanceof Uint8Array) &&
    typeof raw.hash === "string"
  );
}

function toDamaged({ seq, key, state }: RawRow, seal: Seal): DamagedRow {
  return {
    damaged: true,
    seq,
    key: String(key) as DocumentKey,
    state: openState(seal, key, state),
  };
}

/** What can be made of a state that may be damaged; nothing where it can't be opened. */
export function openState(seal: Seal, key: string, state: unknown): Uint8Array {
  return seal.open(state, statePlace(String(key))) ?? NO_STATE;
}

/** Whether the cells are those that were written, as far as that is known without opening them. */
export function isIntact(raw: RawRow): boolean {
  return hasTypes(raw) && checksumOf(raw) === raw.checksum;
}

/** `withState`: false leaves it empty; states may be megabytes each, and lists don't need them. */
export function fromRaw(raw: RawRow, seal: Seal, withState = true): Row | DamagedRow {
  if (!isIntact(raw)) return toDamaged(raw, seal);
  const state = withState ? seal.open(raw.state, statePlace(raw.key)) : NO_STATE;
  const json = raw.json === null ? undefined : seal.openText(raw.json, jsonPlace(raw.key));
  if (state === undefined || (json === undefined && raw.json !== null)) return toDamaged(raw, seal);
  return {
    seq: raw.seq,
    key: raw.key as DocumentKey,
    bucket: raw.bucket,
    deleted: raw.deleted !== ALIVE,
    hidden: raw.deleted === HIDDEN,
    state,
    json,
    hash: raw.hash,
    writtenAt: raw.written_at,
    newestAt: raw.newest_at,
    due: raw.due ?? undefined,
  };
}

export function toRaw(row: Row, seal: Seal): RawRow {
  const { seq, key, bucket, hash, json } = row;
  const raw = {
    seq,
    key,
    bucket,
    deleted: deletedOf(row),
    state: seal.close(row.state, statePlace(key)),
    json: json === undefined ? null : seal.closeText(json, jsonPlace(key)),
    hash,
    written_at: row.writtenAt,
    newest_at: row.newestAt,
    due: row.due ?? null,
  };
  return { ...raw, checksum: checksumOf(raw) };
}

export function toCounted({ bucket, key, hash, deleted, due }: RawLeaf): CountedRow {
  const shown = { deleted: deleted !== ALIVE, hidden: deleted === HIDDEN, due: due ?? undefined };
  return { bucket, key: key as DocumentKey, hash, ...shown };
}

/** The row as a damaged one, if it is: also if it only lies in another bucket than its key's. */
export function damageOf(row: Row | DamagedRow): DamagedRow | undefined {
  if (isDamaged(row)) return row;
  if (row.bucket === bucketOf(row.key)) return undefined;
  return { damaged: true, seq: row.seq, key: row.key, state: row.state };
}

export function isDamaged(row: Row | DamagedRow | undefined): row is DamagedRow {
  return row !== undefined && "damaged" in row;
}
