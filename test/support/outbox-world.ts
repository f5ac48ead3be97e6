// An outbox over a store in memory: changes go in, items come out, and a peer takes them.
import { Random } from "../../scripts/model/random.ts";
import type { Committed, Store } from "../../src/store/store.ts";
import { Assemblies } from "../../src/sync/assembly.ts";
import { Outbox, type OutboxItem } from "../../src/sync/outbox.ts";
import { STATES_BYTES_TARGET } from "../../src/wire/native.ts";
import { key, openMemoryStore, put, read } from "./memory-store.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A store, an outbox, and the commits of the store as they happen. */
export function outboxWorld() {
  const clock = new VirtualClock();
  const store = openMemoryStore();
  const outbox = new Outbox(store, clock);
  const commits: Committed[] = [];
  store.onCommit((committed) => commits.push(...committed));
  return { clock, store, outbox, commits, [Symbol.dispose]: () => store.close() };
}

/** One commit of one document. */
export async function commit(
  { store, commits }: { store: Store; commits: Committed[] },
  name: string,
  value: object,
) {
  await put(store, name, value);
  const last = commits.at(-1);
  if (last === undefined) throw new Error("nothing was committed");
  return last;
}

/** Takes until nothing is left. */
export function drain(outbox: Outbox): OutboxItem[] {
  const items: OutboxItem[] = [];
  for (let item = outbox.take(); item !== undefined; item = outbox.take()) items.push(item);
  return items;
}

export function keysOf(items: readonly OutboxItem[]): string[] {
  return items.flatMap((item) =>
    item.kind === "states" ? item.entries.map((entry) => entry.key) : [],
  );
}

const random = new Random(1);
/** Text that compression leaves about three quarters of. */
export const filler = (bytes: number) => random.text(bytes);
/** Two documents of this size are more than a frame, whether they are compressed or not. */
export const HALF_FRAME = STATES_BYTES_TARGET * 0.7;

/** Bytes of states in these. */
export function sizeOf(items: readonly OutboxItem[]): number {
  return items
    .flatMap((item) => (item.kind === "states" ? item.entries : [item.part]))
    .reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** What a peer that had `before` has in the document of these, all taken in order. */
export async function received(
  items: readonly OutboxItem[],
  before: readonly OutboxItem[] = [],
): Promise<string | undefined> {
  const peer = openMemoryStore();
  const assemblies = new Assemblies();
  let last: string | undefined;
  for (const item of [...before, ...items]) {
    const whole = item.kind === "chunk" ? assemblies.add(item.part) : undefined;
    const states = item.kind === "states" ? item.entries : whole === undefined ? [] : [whole];
    for (const state of states) {
      const outcome = await peer.merge({ ...state, key: key(state.key) }, "sender");
      if (outcome.kind === "incomplete") throw new Error(`${state.key} lacks what it builds on`);
      last = state.key;
    }
  }
  const json = last === undefined ? undefined : read(peer, last);
  peer.close();
  return json;
}
