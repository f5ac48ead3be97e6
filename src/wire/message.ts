// What a frame of the guest dialect says: type numbers <-> a union (peat-mesh 0.6.0 wire, §3.2).
import { unreachable } from "../base/assert.ts";
import { type Batch, decodeBatch, encodeBatch } from "./batch.ts";
import type { Frame } from "./frame.ts";
import {
  decodeTombstone,
  decodeTombstoneBatch,
  encodeTombstone,
  encodeTombstoneBatch,
  type Tombstone,
} from "./tombstone.ts";

const TYPES = {
  delta: 0x00,
  snapshot: 0x01,
  tombstone: 0x04,
  tombstones: 0x05,
  tombstoneAck: 0x06,
  batch: 0x07,
} as const;

/** One step of the Automerge sync protocol about one document. */
interface DeltaMessage {
  readonly kind: "delta";
  readonly key: string;
  readonly sync: Uint8Array;
}

/** A whole saved Automerge document. */
interface SnapshotMessage {
  readonly kind: "snapshot";
  readonly key: string;
  readonly document: Uint8Array;
}

interface TombstoneMessage {
  readonly kind: "tombstone";
  readonly tombstone: Tombstone;
}

interface TombstonesMessage {
  readonly kind: "tombstones";
  readonly tombstones: readonly Tombstone[];
}

/** Nobody sends it; whoever receives it takes it for an empty batch of tombstones. */
interface TombstoneAckMessage {
  readonly kind: "tombstone-ack";
}

interface BatchMessage {
  readonly kind: "batch";
  readonly batch: Batch;
}

/** A type that is reserved (2, 3, 8 to 10) or unknown: the older node warns, and the link lives on. */
interface OtherMessage {
  readonly kind: "other";
  readonly frame: Frame;
}

export type Message =
  | DeltaMessage
  | SnapshotMessage
  | TombstoneMessage
  | TombstonesMessage
  | TombstoneAckMessage
  | BatchMessage
  | OtherMessage;

const EMPTY = new Uint8Array(0);

export function encodeMessage(message: Message): Frame {
  switch (message.kind) {
    case "delta":
      return { key: message.key, type: TYPES.delta, payload: message.sync };
    case "snapshot":
      return { key: message.key, type: TYPES.snapshot, payload: message.document };
    case "tombstone": {
      const { collection, documentId } = message.tombstone;
      const key = `tombstones:${collection}:${documentId}`;
      return { key, type: TYPES.tombstone, payload: encodeTombstone(message.tombstone) };
    }
    case "tombstones": {
      const payload = encodeTombstoneBatch(message.tombstones);
      return { key: "tombstones:batch", type: TYPES.tombstones, payload };
    }
    case "tombstone-ack":
      return { key: "tombstones:batch", type: TYPES.tombstoneAck, payload: EMPTY };
    case "batch":
      return { key: "batch", type: TYPES.batch, payload: encodeBatch(message.batch) };
    case "other":
      return message.frame;
    default:
      return unreachable(message);
  }
}

/**
 * Fault `wire_invalid` if the payload is not what its type promises. Only deltas and snapshots are
 * known by the frame's key; the others carry their own. Bytes share the frame's memory. A batch's
 * entries are frames still: decode each by itself, so that a bad one does not spoil the rest.
 */
export function decodeMessage(frame: Frame): Message {
  const { key, type, payload } = frame;
  switch (type) {
    case TYPES.delta:
      return { kind: "delta", key, sync: payload };
    case TYPES.snapshot:
      return { kind: "snapshot", key, document: payload };
    case TYPES.tombstone:
      return { kind: "tombstone", tombstone: decodeTombstone(payload) };
    case TYPES.tombstones:
      return { kind: "tombstones", tombstones: decodeTombstoneBatch(payload) };
    case TYPES.tombstoneAck:
      return { kind: "tombstone-ack" };
    case TYPES.batch:
      return { kind: "batch", batch: decodeBatch(payload) };
    default:
      return { kind: "other", frame };
  }
}
