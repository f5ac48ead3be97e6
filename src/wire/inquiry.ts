// What a node asks a peer for whoever wants to know why a document is not the same on both, and the answer.
//
//   0x30 inquiry  u32 nonce || key: empty asks about the node alone
//   0x31 report   u32 nonce || u64 now || u8 flags || u32 queued || u8 standing || u32 life || hash[16]
//                 || u64 changedAt || u32 bytes || u64 deletedAt || by || stuck
//
//   now, changedAt, deletedAt: ms since the Unix epoch by the answerer's clock, 0 for never; changedAt is the commit
//   there.  flags bit 0: its disk is full; bit 1: it is catching up; bit 2: the document waits there for the asker.
//   queued: documents that do.  by, stuck, key = u16 length || UTF-8.
import { type ByteReader, type ByteWriter, fromHex, toHex } from "../base/bytes.ts";

/** What a hello's features say of a node that answers inquiries. */
export const FEATURE_REPORTS = 4;

/**
 * What a node has of a document. forgotten: it was deleted, and only that is remembered. aside: it was deleted
 * elsewhere while this node was away for too long. expired: too old to be served. other: a later version's word.
 */
export type StandingKind =
  | "absent"
  | "alive"
  | "deleted"
  | "forgotten"
  | "aside"
  | "damaged"
  | "expired"
  | "other";

const STANDINGS: readonly StandingKind[] = [
  "absent",
  "alive",
  "deleted",
  "forgotten",
  "aside",
  "damaged",
  "expired",
];
const OTHER = 0xff;

const DISK_FULL = 1;
const CATCHING_UP = 2;
const QUEUED = 4;

export interface Inquiry {
  readonly type: "inquiry";
  readonly nonce: number;
  /** Empty: about the node alone. */
  readonly key: string;
}

export interface Report {
  readonly type: "report";
  readonly nonce: number;
  /** The answerer's clock, ms since the Unix epoch. */
  readonly now: number;
  readonly isDiskFull: boolean;
  readonly isCatchingUp: boolean;
  /** The document waits there to be sent to the asker. */
  readonly isQueued: boolean;
  /** Documents that do. */
  readonly queued: number;
  readonly standing: StandingKind;
  readonly life: number;
  /** State hash, 32 hex digits; zeros where there is none. */
  readonly hash: string;
  /** Ms of the newest commit of it there; 0: none. */
  readonly changedAt: number;
  /** Of its state. */
  readonly bytes: number;
  /** Ms; 0 unless it is deleted. */
  readonly deletedAt: number;
  /** Who deleted it. */
  readonly by: string;
  /** Why the asker's version can't be joined there, or theirs not be sent; empty: it can. */
  readonly stuck: string;
}

export function writeInquiry(writer: ByteWriter, { nonce, key }: Inquiry): void {
  writer.u32(nonce).text16(key);
}

export function readInquiry(reader: ByteReader): Inquiry {
  return { type: "inquiry", nonce: reader.u32(), key: reader.text16() };
}

export function writeReport(writer: ByteWriter, report: Report): void {
  const { isDiskFull, isCatchingUp, isQueued } = report;
  const flags =
    (isDiskFull ? DISK_FULL : 0) | (isCatchingUp ? CATCHING_UP : 0) | (isQueued ? QUEUED : 0);
  const standing = STANDINGS.indexOf(report.standing);
  writer.u32(report.nonce).u64(report.now).u8(flags).u32(report.queued);
  writer
    .u8(standing < 0 ? OTHER : standing)
    .u32(report.life)
    .bytes(fromHex(report.hash));
  writer.u64(report.changedAt).u32(report.bytes).u64(report.deletedAt);
  writer.text16(report.by).text16(report.stuck);
}

export function readReport(reader: ByteReader): Report {
  const [nonce, now, flags, queued] = [reader.u32(), reader.u64(), reader.u8(), reader.u32()];
  return {
    type: "report",
    nonce,
    now,
    isDiskFull: (flags & DISK_FULL) !== 0,
    isCatchingUp: (flags & CATCHING_UP) !== 0,
    isQueued: (flags & QUEUED) !== 0,
    queued,
    standing: STANDINGS[reader.u8()] ?? "other",
    life: reader.u32(),
    hash: toHex(reader.bytes(16)),
    changedAt: reader.u64(),
    bytes: reader.u32(),
    deletedAt: reader.u64(),
    by: reader.text16(),
    stuck: reader.text16(),
  };
}
