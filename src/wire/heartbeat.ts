// The sign of life that later releases of the older node send on a stream of its own, one way
// (peat-mesh 0.6.0 wire, §3.10):   01 | u64be sentAtMs
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";

const HEARTBEAT = 0x01;

export function encodeHeartbeat(sentAtMs: number): Uint8Array {
  return new ByteWriter(9).u8(HEARTBEAT).u64(sentAtMs).finish();
}

/** When it was sent, ms since the Unix epoch. Fault `wire_invalid` for anything else. */
export function decodeHeartbeat(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes);
  const kind = reader.u8();
  if (kind !== HEARTBEAT) throw new Fault("wire_invalid", `byte ${kind} begins no heartbeat`);
  const sentAtMs = reader.u64();
  reader.end();
  return sentAtMs;
}
