// Deletions as the older node tells them (peat-mesh 0.6.0 wire, §3.7); all integers big-endian.
//
//   one:   str16 collection | str16 documentId | u64 deletedAtMs | u64 lamport
//          | str16 deletedBy | str16 reason (empty: none) | u8 direction
//   batch: u32 count | count x (u32 len | one)
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { TOMBSTONE_BYTES_MIN } from "./limits.ts";

/** By number on the wire. */
const DIRECTIONS = ["bidirectional", "up-only", "down-only", "system-wide"] as const;

/** Which way a tombstone travels through a hierarchy of nodes. */
export type TombstoneDirection = (typeof DIRECTIONS)[number];

export interface Tombstone {
  readonly collection: string;
  readonly documentId: string;
  /** Wall clock of the deleting node, ms since the Unix epoch. */
  readonly deletedAtMs: number;
  readonly lamport: bigint;
  /** Name of the deleting node. */
  readonly deletedBy: string;
  /** Never the empty text, which the wire can't tell from none. */
  readonly reason: string | undefined;
  readonly direction: TombstoneDirection;
}

export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  assert(tombstone.reason !== "", "a tombstone's reason is text or undefined");
  return new ByteWriter(TOMBSTONE_BYTES_MIN + 128)
    .text16(tombstone.collection)
    .text16(tombstone.documentId)
    .u64(tombstone.deletedAtMs)
    .u64(tombstone.lamport)
    .text16(tombstone.deletedBy)
    .text16(tombstone.reason ?? "")
    .u8(DIRECTIONS.indexOf(tombstone.direction))
    .finish();
}

/** Fault `wire_invalid`. Bytes after the end are ignored, as the older node does. */
export function decodeTombstone(bytes: Uint8Array): Tombstone {
  const reader = new ByteReader(bytes);
  const collection = reader.text16();
  const documentId = reader.text16();
  const deletedAtMs = reader.u64();
  const lamport = reader.u64Big();
  const deletedBy = reader.text16();
  const reason = reader.text16();
  const direction = decodeDirection(reader.u8());
  return {
    collection,
    documentId,
    deletedAtMs,
    lamport,
    deletedBy,
    reason: reason === "" ? undefined : reason,
    direction,
  };
}

function decodeDirection(byte: number): TombstoneDirection {
  const direction = DIRECTIONS[byte];
  if (direction === undefined) {
    throw new Fault("wire_invalid", `tombstone direction ${byte} is not 0 to 3`);
  }
  return direction;
}

export function encodeTombstoneBatch(tombstones: readonly Tombstone[]): Uint8Array {
  const writer = new ByteWriter().u32(tombstones.length);
  for (const tombstone of tombstones) writer.bytes32(encodeTombstone(tombstone));
  return writer.finish();
}

/** Fault `wire_invalid` if any tombstone is wrong or bytes follow the last one. */
export function decodeTombstoneBatch(bytes: Uint8Array): readonly Tombstone[] {
  const reader = new ByteReader(bytes);
  const count = reader.u32();
  const countMax = Math.floor(reader.remaining / (4 + TOMBSTONE_BYTES_MIN));
  if (count > countMax) {
    throw new Fault("wire_invalid", `${count} tombstones can't be in ${bytes.length} bytes`);
  }
  const tombstones: Tombstone[] = [];
  for (let i = 0; i < count; i += 1) {
    tombstones.push(decodeTombstone(reader.bytes32(reader.remaining)));
  }
  reader.end();
  return tombstones;
}
