// Many frames in one (peat-mesh 0.6.0 wire, §3.3); all integers big-endian.
//
//   u64 id | u64 createdAtMs | u8 ttl | u32 count | count x frame
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { type Frame, readFrame, writeFrame } from "./frame.ts";
import { BATCH_HEADER_BYTES, FRAME_OVERHEAD_BYTES } from "./limits.ts";

export interface Batch {
  /** Counts up per process of the sender; 0 when it does not count. Nobody examines it. */
  readonly id: bigint;
  /** ms since the Unix epoch. */
  readonly createdAtMs: number;
  /** Hops; nobody examines it. */
  readonly ttl: number;
  readonly entries: readonly Frame[];
}

export function encodeBatch(batch: Batch): Uint8Array {
  const writer = new ByteWriter(BATCH_HEADER_BYTES + 256)
    .u64(batch.id)
    .u64(batch.createdAtMs)
    .u8(batch.ttl)
    .u32(batch.entries.length);
  for (const entry of batch.entries) writeFrame(writer, entry);
  return writer.finish();
}

/** Fault `wire_invalid` if the batch breaks off or goes on. Payloads share the memory of `bytes`. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const reader = new ByteReader(bytes);
  const id = reader.u64Big();
  const createdAtMs = reader.u64();
  const ttl = reader.u8();
  const count = reader.u32();
  if (count > Math.floor(reader.remaining / FRAME_OVERHEAD_BYTES)) {
    throw new Fault("wire_invalid", `${count} entries can't be in ${bytes.length} bytes`);
  }
  const entries: Frame[] = [];
  for (let i = 0; i < count; i += 1) entries.push(readFrame(reader));
  reader.end();
  return { id, createdAtMs, ttl, entries };
}
