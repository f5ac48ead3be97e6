// Tombstones of the older node (peat-mesh 0.6.0 wire, §3.7), all integers big-endian:
//
//   tombstone = str16 collection | str16 documentId | u64 deletedAtMs | u64 lamport | str16 deletedBy
//             | u16 reasonLen (0: none) | reason | u8 direction
//   batch     = u32 count | count × (u32 len | tombstone)
import { Cursor, FRAME, type Frame, text16, u32, u64 } from "./frame.ts";

const DIRECTIONS = ["bidirectional", "up-only", "down-only", "system-wide"] as const;
export type GuestDirection = (typeof DIRECTIONS)[number];

export interface GuestTombstone {
  readonly collection: string;
  readonly documentId: string;
  readonly deletedAtMs: number;
  readonly lamport: bigint;
  readonly deletedBy: string;
  readonly reason: string | undefined;
  readonly direction: GuestDirection;
}

const DEFAULT_DIRECTIONS: ReadonlyMap<string, GuestDirection> = new Map([
  ["cells", "up-only"],
  ["contact_reports", "up-only"],
  ["commands", "down-only"],
]);

export function keyOf({ collection, documentId }: GuestTombstone): string {
  return `${collection}:${documentId}`;
}

export function encodeTombstone(tombstone: GuestTombstone): Uint8Array {
  return Buffer.concat([
    text16(tombstone.collection),
    text16(tombstone.documentId),
    u64(BigInt(tombstone.deletedAtMs)),
    u64(tombstone.lamport),
    text16(tombstone.deletedBy),
    text16(tombstone.reason ?? ""),
    Uint8Array.of(DIRECTIONS.indexOf(tombstone.direction)),
  ]);
}

export function decodeTombstone(bytes: Uint8Array): GuestTombstone {
  const cursor = new Cursor(bytes);
  const collection = cursor.text();
  const documentId = cursor.text();
  const deletedAtMs = Number(cursor.u64());
  const lamport = cursor.u64();
  const deletedBy = cursor.text();
  const reason = cursor.text();
  const direction = DIRECTIONS[cursor.u8()];
  if (direction === undefined) throw new Error("Invalid tombstone direction");
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

export function decodeTombstones(bytes: Uint8Array): GuestTombstone[] {
  const cursor = new Cursor(bytes);
  const count = cursor.u32();
  const tombstones: GuestTombstone[] = [];
  for (let i = 0; i < count; i += 1) {
    tombstones.push(decodeTombstone(cursor.take(cursor.u32())));
  }
  return tombstones;
}

/** One tombstone as it is relayed. */
export function tombstoneFrame(tombstone: GuestTombstone): Frame {
  return {
    key: `tombstones:${keyOf(tombstone)}`,
    type: FRAME.tombstone,
    payload: encodeTombstone(tombstone),
  };
}

/** A whole table as every poll sends it. The direction that a tombstone came with is forgotten in it. */
export function tombstonesFrame(tombstones: readonly GuestTombstone[]): Frame {
  const parts = tombstones.map((tombstone) => encodeTombstone(withDefaultDirection(tombstone)));
  const payload = Buffer.concat([
    u32(parts.length),
    ...parts.flatMap((part) => [u32(part.length), part]),
  ]);
  return { key: "tombstones:batch", type: FRAME.tombstones, payload };
}

export function withDefaultDirection(tombstone: GuestTombstone): GuestTombstone {
  const direction = DEFAULT_DIRECTIONS.get(tombstone.collection) ?? "bidirectional";
  return { ...tombstone, direction };
}
