// What encryption on disk costs: the same work on a store in the clear and on an encrypted one, by turns.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { Secret } from "../../src/base/secret.ts";
import { type DocumentKey, documentKey } from "../../src/store/document-key.ts";
import { NO_ENCRYPTION, type SealOptions } from "../../src/store/seal.ts";
import { positionReport } from "./documents.ts";
import { MANY_CLIENTS, type Plan, rounds } from "./plan.ts";
import type { Report } from "./report.ts";
import { bytesOf, openStore } from "./store.ts";

const COLLECTION = "notes";
const PAGE = 1000;

/** Of a core, for each document: what other work on the machine disturbs least. */
interface Figures {
  readonly writeUs: number;
  readonly getUs: number;
  readonly listUs: number;
  readonly bytes: number;
}

function keyOf(n: number): DocumentKey {
  return documentKey(COLLECTION, `unit-${String(n).padStart(6, "0")}`);
}

async function coreUs(count: number, work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

async function measure(path: string, count: number, encryption: SealOptions): Promise<Figures> {
  const store = openStore(path, encryption);
  try {
    const writeUs = await coreUs(count, async () => {
      for (let first = 0; first < count; first += MANY_CLIENTS) {
        const some = Array.from({ length: Math.min(MANY_CLIENTS, count - first) }, (_, i) => {
          const body = JSON.stringify(positionReport(first + i, 0));
          return store.write({ key: keyOf(first + i), operation: { kind: "put", body } });
        });
        await Promise.all(some);
      }
    });
    const getUs = await coreUs(count, () => {
      for (let n = 0; n < count; n += 1) store.get(keyOf(n));
    });
    const listUs = await coreUs(count, () => {
      let after: string | undefined;
      do {
        const options = after === undefined ? { limit: PAGE } : { limit: PAGE, after };
        after = store.list(COLLECTION, options).at(-1)?.id;
      } while (after !== undefined);
    });
    return { writeUs, getUs, listUs, bytes: bytesOf(path) / count };
  } finally {
    store.close();
  }
}

/** Documents in the clear that are encrypted in the background, beside nothing else. */
async function turnOn(path: string, count: number, encryption: SealOptions): Promise<number> {
  const store = openStore(path, encryption);
  try {
    const { signal } = new AbortController();
    return await coreUs(count, () => store.resealing.run(systemClock, signal));
  } finally {
    store.close();
  }
}

const FIGURES = [
  ["writeUs", `durable write, ${MANY_CLIENTS} at once`, "µs of a core"],
  ["getUs", "read of one", "µs of a core"],
  ["listUs", `read in lists of ${PAGE}`, "µs of a core"],
  ["bytes", "file and log, per document", "bytes"],
] as const;

export async function benchEncryption(plan: Plan, report: Report): Promise<void> {
  const count = plan.documents;
  report.begin(`A store alone, ${count} documents, in the clear and encrypted`);
  const folder = mkdtempSync(join(tmpdir(), "peat-bench-"));
  const sealed = { key: new Secret(crypto.getRandomValues(new Uint8Array(32))), previous: [] };
  try {
    const results = await rounds(plan, async (round) => {
      const path = join(folder, `clear-${round}.db`);
      const clear = await measure(path, count, NO_ENCRYPTION);
      const encrypted = await measure(join(folder, `sealed-${round}.db`), count, sealed);
      return { clear, encrypted, turned: await turnOn(path, count, sealed) };
    });
    for (const [figure, name, unit] of FIGURES) {
      for (const how of ["clear", "encrypted"] as const) {
        const values = results.map((result) => result[how][figure]);
        report.add(`${name}, ${how}`, values, unit);
      }
    }
    const turned = results.map((result) => result.turned);
    report.add("encrypted in the background", turned, "µs of a core");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
