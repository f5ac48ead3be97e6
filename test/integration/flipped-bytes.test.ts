// Single bytes of the database file, changed while the node is down.
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { Random } from "../../scripts/model/random.ts";
import { Fault } from "../../src/base/faults.ts";
import { Secret } from "../../src/base/secret.ts";
import { NO_ENCRYPTION, type SealOptions } from "../../src/store/seal.ts";
import type { Store } from "../../src/store/store.ts";
import { DEPTH, FAN_OUT } from "../../src/store/sums.ts";
import { openFileStore } from "../support/file-store.ts";
import { openMemoryStore, put, read, remove } from "../support/memory-store.ts";
import { tempFolder } from "../support/temp-folder.ts";

const FLIPS = 200;
const SEED = 20_261_121;
const DOCUMENTS = 60;
/** What a start that refuses must tell: what to do about it. */
const REMEDY = /restore a backup|move (?:the file|it) away/;

const names = ["tracks", "notes"].flatMap((collection) =>
  Array.from({ length: DOCUMENTS }, (_, i) => `${collection}:${i}`),
);

async function fill(store: Store): Promise<void> {
  for (const round of [1, 2]) {
    await Promise.all(
      names.map((name, i) => put(store, name, { round, name, text: "x".repeat(i * 10) })),
    );
  }
  await Promise.all(names.filter((_, i) => i % 5 === 0).map((name) => remove(store, name)));
}

/** Both ways, and only where sums differ: what two connected nodes do. */
async function reconcile(a: Store, b: Store): Promise<void> {
  for (let index = 0; index < FAN_OUT ** DEPTH; index += 1) {
    const prefix = { depth: DEPTH, index };
    if (a.sum(prefix).sum === b.sum(prefix).sum && a.sum(prefix).count === b.sum(prefix).count) {
      continue;
    }
    const keys = [...a.leaves(prefix), ...b.leaves(prefix)].map((leaf) => leaf.key);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const name of new Set(keys)) {
        const state = from.stateFor(name);
        if (state !== undefined) await to.merge({ key: name, ...state }, "peer");
      }
    }
  }
}

/** Reads everything that clients can; says what is neither right nor absent. */
function wrongAnswers(store: Store, expected: ReadonlyMap<string, string | undefined>): string[] {
  const wrong: string[] = [];
  for (const [name, json] of expected) {
    const found = read(store, name);
    if (found !== json && found !== undefined) wrong.push(`${name} is ${found.slice(0, 60)}`);
  }
  for (const collection of ["tracks", "notes"]) {
    for (const document of store.list(collection, { limit: 10_000 })) {
      if (document.json !== expected.get(document.key)) wrong.push(`${document.key} is listed`);
    }
  }
  return wrong;
}

interface World {
  readonly path: string;
  readonly encryption: SealOptions;
  readonly expected: ReadonlyMap<string, string | undefined>;
  readonly peer: Store;
}

async function turns(): Promise<void> {
  // The group that sets aside runs in a later turn.
  for (let i = 0; i < 3; i += 1) await new Promise<void>((done) => setImmediate(done));
}

/** Opens the damaged file twice, as a service manager would. */
async function verdictOf({ path, encryption, expected, peer }: World): Promise<string> {
  let isHealed = false;
  const good = peer.summary().rootHash;
  for (let start = 0; start < 2; start += 1) {
    let opened: ReturnType<typeof openFileStore>;
    try {
      opened = openFileStore(path, { encryption });
    } catch (error) {
      if (!(error instanceof Fault)) return `start ${start} threw ${error}`;
      const isTold = error.code === "storage_unusable" && REMEDY.test(error.message);
      return start === 0 && isTold ? "refused" : `start ${start} failed: ${error.message}`;
    }
    const { store, fatal } = opened;
    try {
      const wrong = wrongAnswers(store, expected);
      await turns();
      if (wrong.length > 0) return `wrong: ${wrong.join(", ")}`;
      if (store.summary().rootHash !== good) isHealed = true;
      await reconcile(store, peer);
      await turns();
      for (const [name, json] of expected) {
        if (read(store, name) !== json) return `${name} did not come back`;
      }
      if (store.summary().rootHash !== good) return "sums stay unequal";
      if (peer.summary().rootHash !== good) return "the peer was harmed";
      // Not before the end: what it leaves is the one thing that the peer is not told.
      if (start === 1) await put(store, "files:new", { start });
      if (fatal.length > 0) return `fatal: ${fatal[0]?.message}`;
    } catch (error) {
      return `start ${start}: ${error}; fatal: ${fatal[0]?.message}`;
    } finally {
      store.close();
    }
  }
  return isHealed ? "healed" : "harmless";
}

for (const [how, encryption] of [
  ["in the clear", NO_ENCRYPTION],
  ["encrypted", { key: new Secret(new Uint8Array(32).fill(1)), previous: [] }],
] as const) {
  test(`each of ${FLIPS} flipped bytes is healed by a peer, refused at start with the remedy, or harmless: ${how}`, async () => {
    using folder = tempFolder({ isInMemory: true });
    const path = folder.file("peat.db");
    const peer = openMemoryStore({ nodeName: "node-b" });
    const { store } = openFileStore(path, { encryption });
    await fill(store);
    const expected = new Map(names.map((name) => [name, read(store, name)]));
    await reconcile(store, peer);
    expect(peer.summary().rootHash).toBe(store.summary().rootHash);
    store.close();
    const good = readFileSync(path);
    const random = new Random(SEED);
    const verdicts: Record<string, number> = { harmless: 0, healed: 0, refused: 0 };
    const bad: string[] = [];
    for (let flip = 0; flip < FLIPS; flip += 1) {
      const at = random.below(good.length);
      const bits = 1 + random.below(255);
      const damaged = Buffer.from(good);
      damaged[at] = (good[at] ?? 0) ^ bits;
      writeFileSync(path, damaged);
      const verdict = await verdictOf({ path, encryption, expected, peer });
      if (verdict in verdicts) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      else bad.push(`byte ${at} of ${good.length} ^ ${bits}: ${verdict}`);
    }
    peer.close();
    console.log(`${FLIPS} flips of ${good.length} bytes:`, JSON.stringify(verdicts));
    expect(bad).toEqual([]);
    expect(verdicts["healed"]).toBeGreaterThan(FLIPS / 10);
  }, 120_000);
}
