// One of each message of the native dialect, as seeds.
import type { NativeMessage } from "../../src/wire/native.ts";

export const hash = (byte: number, bytes = 16): string =>
  byte.toString(16).padStart(2, "0").repeat(bytes);
export const payload = Uint8Array.from({ length: 40 }, (_, i) => i);

export const NATIVE: readonly NativeMessage[] = [
  {
    type: "states",
    serial: 7,
    more: true,
    isEntrusted: true,
    entries: [
      { key: "tracks:1", hash: hash(1), bytes: payload },
      { key: "notes:ü", hash: hash(2), bytes: new Uint8Array() },
    ],
  },
  {
    type: "chunk",
    serial: 8,
    key: "k:1",
    hash: hash(3),
    total: 1000,
    offset: 100,
    bytes: payload,
  },
  { type: "ack", serial: 0xffff_ffff },
  {
    type: "compare",
    entries: [
      { key: "a:1", hash: hash(0), heads: [hash(1, 32), hash(2, 32)] },
      { key: "b:2", hash: hash(9), heads: [] },
    ],
  },
  {
    type: "sums",
    horizon: 1_800_000_000_000,
    entries: [
      { depth: 0, index: 0, count: 3, sum: hash(5) },
      { depth: 3, index: 4095, count: 0, sum: hash(0) },
    ],
  },
  { type: "leaves", horizon: 0, depth: 3, index: 17, entries: [{ key: "a:1", hash: hash(4) }] },
  { type: "agreed", horizon: 60_000, count: 2, sum: hash(6) },
  { type: "neighbours", names: ["node-a", "node-b.cluster"] },
  { type: "ping", nonce: 1 },
  { type: "pong", nonce: 2 },
  { type: "memory", metAt: 1_800_000_000_000, forgottenAt: 1 },
  { type: "resumed" },
  { type: "inquiry", nonce: 4, key: "a:1" },
  {
    type: "report",
    nonce: 4,
    now: 1_800_000_000_000,
    isDiskFull: false,
    isCatchingUp: true,
    isQueued: false,
    queued: 0,
    standing: "alive",
    life: 0,
    hash: hash(4),
    changedAt: 1_800_000_000_000,
    bytes: 200,
    deletedAt: 0,
    by: "",
    stuck: "it is too large",
  },
  { type: "orphans", entries: [{ key: "a:1", hash: hash(4) }] },
];
