// The document that every measurement writes: a position report of eight fields, some 200 bytes of JSON.
import type { Document } from "../support/broker-api.ts";

/** The document with this number; `revision` changes the fields that a moving thing changes. */
export function positionReport(index: number, revision = 0): Document {
  const step = index * 7919 + revision * 104_729;
  return {
    name: `unit-${index}`,
    kind: ["vehicle", "vessel", "aircraft", "person"][index % 4] ?? "vehicle",
    latitude: Math.round(((step % 18_000_000) / 100_000 - 90) * 1e5) / 1e5,
    longitude: Math.round(((step % 36_000_000) / 100_000 - 180) * 1e5) / 1e5,
    altitude_m: step % 12_000,
    speed_mps: (step % 3000) / 10,
    heading_deg: step % 360,
    reported_at: 1_700_000_000_000 + step,
  };
}

export const BENCH_COLLECTION = "reports";
