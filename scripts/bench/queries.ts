// How long the broker takes to find a few of many documents, by whatever field, and what others notice of it.
import { randomBytes } from "node:crypto";
import { meshNodePath } from "../support/executable.ts";
import { Formation } from "../support/formation.ts";
import { median, percentile } from "../support/percentiles.ts";
import { BENCH_COLLECTION } from "./documents.ts";
import { MANY_CLIENTS, type Plan } from "./plan.ts";
import type { Report } from "./report.ts";
import { writeDocuments } from "./writes.ts";

const SELECTIVE: { readonly atMost: number } = { atMost: 20 };
const TIMES = 20;
/** A page of this many, where the whole collection has to be put in order. */
const PAGE = 100;

const QUESTIONS = [
  ["one of them, by a text", { filter: '{"field":"name","eq":"unit-4711"}' }, SELECTIVE],
  [
    "some in a range, and of one kind",
    {
      filter: '{"and":[{"field":"speed_mps","ge":1,"lt":1.5},{"field":"kind","eq":"vessel"}]}',
    },
    SELECTIVE,
  ],
  ["none, by a field that none has", { filter: '{"field":"a.b[0]","exists":true}' }, SELECTIVE],
  [`the ${PAGE} highest`, { order: "-altitude_m", limit: `${PAGE}` }, undefined],
] as const;

async function ask(url: string, query: Readonly<Record<string, string>>): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(
    `${url}/api/v1/documents/${BENCH_COLLECTION}?${new URLSearchParams(query)}`,
  );
  const { documents } = (await response.json()) as { documents?: unknown[] };
  if (documents === undefined) throw new Error(`no page, but ${response.status}`);
  return performance.now() - startedMs;
}

/** How long a small request takes while `work` goes on. */
async function healthMs(url: string, work: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const startedMs = performance.now();
    await (await fetch(`${url}/api/v1/health`)).arrayBuffer();
    times.push(performance.now() - startedMs);
  }
  await over;
  return times;
}

async function measure(url: string, isAimed: boolean, report: Report): Promise<void> {
  for (const [name, query, aim] of QUESTIONS) {
    const times: number[] = [];
    for (let i = 0; i < TIMES; i += 1) times.push(await ask(url, query));
    report.add(name, [median(times)], "ms", isAimed ? aim : undefined);
  }
}

export async function benchQueries(plan: Plan, report: Report): Promise<void> {
  const key = randomBytes(32).toString("base64");
  for (const [how, env] of [
    ["in the clear", {}],
    ["encrypted", { PEAT_ENCRYPTION_KEY: key }],
  ] as const) {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1, env });
    await formation.startAll();
    const count = plan.documents;
    await writeDocuments({ formation, clients: MANY_CLIENTS, from: 0, count, revision: 0 });
    const { url } = formation.node(0).api;
    report.begin(`Looking for some of ${count} documents, ${how}, one question after the other`);
    // Aims are for what SQL can look into.
    await measure(url, how === "in the clear", report);
    const many = 8;
    const times = await healthMs(
      url,
      Promise.all(Array.from({ length: many }, () => ask(url, { order: "-speed_mps" }))),
    );
    const name = `another request beside ${many} questions at once`;
    report.add(`${name}, p50`, [percentile(times, 50)], "ms");
    report.add(`${name}, at most`, [percentile(times, 100)], "ms");
    if (how === "in the clear") await measureLarge(formation, count, report);
  }
}

/** Ten times as many. */
async function measureLarge(formation: Formation, from: number, report: Report): Promise<void> {
  const count = from * 9;
  await writeDocuments({ formation, clients: MANY_CLIENTS, from, count, revision: 0 });
  const { url } = formation.node(0).api;
  report.begin(`Looking for some of ${from + count} documents, in the clear`);
  for (const [name, query] of QUESTIONS) {
    const times: number[] = [];
    const asking = (async () => {
      for (let i = 0; i < 5; i += 1) times.push(await ask(url, query));
    })();
    const beside = await healthMs(url, asking);
    report.add(name, times, "ms");
    report.add("  another request meanwhile, at most", [percentile(beside, 100)], "ms");
  }
}
