// bun run quickstart: three real nodes on this machine, a real data set, and the proof that they hold the same.
import { parseArgs } from "node:util";
import { SingleBar } from "cli-progress";
import { AIRPORTS, type Airport, loadAirports } from "./support/airports.ts";
import type { BrokerApi, Document } from "./support/broker-api.ts";
import { findAddon, hostTarget } from "./support/build-targets.ts";
import { hashOfValues } from "./support/canonical.ts";
import { ensureExecutable, meshNodePath } from "./support/executable.ts";
import { Formation } from "./support/formation.ts";
import { median, percentile } from "./support/percentiles.ts";
import { documentsAfter, measureVisible } from "./support/visible-latency.ts";
import { forEachBounded } from "./support/waiting.ts";

const USAGE = `usage: bun run quickstart [--once] [--records N]

--once       stop when all is shown, with status 0 if everything matched
--records N  load the first N airports only`;

const NODES = 3;
const LOAD_CONNECTIONS = 64;
const SINGLE_WRITES = 200;
const WRITES_WHILE_AWAY = 500;
const EQUAL_LIMIT_MS = 120_000;
const SINGLES = "singles";

const startedMs = performance.now();
let step = 0;

function announce(title: string, explanation: string): void {
  step += 1;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`\n${step}. ${title}  (${seconds} s)\n   ${explanation}`);
}

function say(text: string): void {
  console.log(`   ${text}`);
}

function progressBar(total: number, unit: string): SingleBar {
  const bar = new SingleBar({
    format: `   [{bar}] {percentage}%  {value}/{total} ${unit}  {rate}/s`,
    barsize: 32,
    hideCursor: true,
    noTTYOutput: true,
    notTTYSchedule: 1000,
    stream: process.stdout,
  });
  bar.start(total, 0, { rate: 0 });
  return bar;
}

async function build(): Promise<void> {
  announce("Build", "One executable: runtime, program, QUIC and CRDT inside.");
  const target = hostTarget();
  const addon = await findAddon(target);
  if (typeof addon === "string") throw new Error(`can't build for ${target}: ${addon}`);
  const buildStartedMs = performance.now();
  const isNew = await ensureExecutable(addon);
  const seconds = ((performance.now() - buildStartedMs) / 1000).toFixed(1);
  say(isNew ? `dist/peat-sidecar built in ${seconds} s` : "dist/peat-sidecar is up to date");
}

async function startNodes(formation: Formation): Promise<void> {
  announce(
    `Start ${NODES} nodes`,
    "Processes of their own, each with its own database; one formation secret, made just now.",
  );
  await formation.startAll();
  for (const node of formation.running) {
    say(`${node.name}  pid ${node.pid}  ${node.api.url}/`);
  }
}

async function load(node: BrokerApi, airports: readonly Airport[]): Promise<void> {
  announce(
    `Load ${airports.length} airports into node-0`,
    `${AIRPORTS.source} (${AIRPORTS.licence}), one PUT each, ${LOAD_CONNECTIONS} at a time; each answer means: on disk.`,
  );
  const bar = progressBar(airports.length, "documents");
  const loadStartedMs = performance.now();
  let done = 0;
  const rate = (): number => Math.round((done * 1000) / (performance.now() - loadStartedMs));
  try {
    await forEachBounded(airports, LOAD_CONNECTIONS, async ({ id, document }) => {
      await node.put(AIRPORTS.collection, id, document);
      done += 1;
      bar.update(done, { rate: rate() });
    });
  } finally {
    bar.stop();
  }
  const seconds = ((performance.now() - loadStartedMs) / 1000).toFixed(1);
  say(`${done} documents written durably in ${seconds} s: ${rate()} per second`);
}

async function contentOf(node: BrokerApi): Promise<{ documents: number; sha256: string }> {
  const all: Document[] = [];
  for (const collection of [AIRPORTS.collection, SINGLES]) {
    for await (const document of node.list(collection)) {
      all.push({ collection, document });
    }
  }
  return { documents: all.length, sha256: hashOfValues(all) };
}

interface Expected {
  readonly documents: number;
  /** SHA-256 of what was written, where that is known from the source. */
  readonly sha256?: string;
}

/** Throws unless all nodes tell the same state hash and, read over HTTP, hold the same documents. */
async function showEqual(formation: Formation, expected: Expected): Promise<void> {
  announce(
    "Compare the nodes",
    "The state hash each keeps, and SHA-256 over the sorted canonical JSON of all documents, read over HTTP.",
  );
  const waitStartedMs = performance.now();
  const rootHash = await formation.equal(expected.documents, EQUAL_LIMIT_MS);
  const waitedMs = performance.now() - waitStartedMs;
  say(`state hashes equal after ${waitedMs.toFixed(0)} ms of waiting`);
  const hashes = new Set(expected.sha256 === undefined ? [] : [expected.sha256]);
  for (const node of formation.running) {
    const { documents, sha256 } = await contentOf(node.api);
    hashes.add(sha256);
    say(`${node.name}  ${documents} documents  state ${rootHash}`);
    say(`        sha256 ${sha256}`);
    if (documents !== expected.documents) {
      throw new Error(`${node.name} served ${documents} documents, not ${expected.documents}`);
    }
  }
  if (expected.sha256 !== undefined) say(`source  sha256 ${expected.sha256}`);
  if (hashes.size !== 1) throw new Error("what the nodes serve is not all the same");
  say("equal");
}

/** The hash that nodes must serve when they hold the airports and nothing else. */
function hashOfAirports(airports: readonly Airport[]): string {
  const { collection } = AIRPORTS;
  return hashOfValues(
    airports.map(({ id, document }) => ({ collection, document: { ...document, _id: id } })),
  );
}

async function showLatency(formation: Formation): Promise<void> {
  announce(
    `Write ${SINGLE_WRITES} single documents on node-0`,
    "Time from before the PUT is sent until a WebSocket on the other node delivers the value.",
  );
  const watched = [formation.node(1), formation.node(2)];
  const measured = await measureVisible({
    writer: formation.node(0).api,
    watched: watched.map((node) => node.api),
    collection: SINGLES,
    writes: SINGLE_WRITES,
    pauseMs: 5,
  });
  watched.forEach((node, index) => {
    const ms = measured.perNode[index] ?? [];
    const figure = (percent: number): string => percentile(ms, percent).toFixed(1);
    say(
      `${node.name}  min ${figure(0)} ms  median ${median(ms).toFixed(1)} ms  p99 ${figure(99)} ms`,
    );
  });
}

async function showRecovery(formation: Formation, documents: number): Promise<number> {
  announce(
    "Kill node-2 with SIGKILL and write on",
    `${WRITES_WHILE_AWAY} documents while it is away; then it starts again on the data it left.`,
  );
  await formation.kill(2);
  say("node-2 is gone");
  const writer = formation.node(0).api;
  const ids = Array.from({ length: WRITES_WHILE_AWAY }, (_, index) => `while-away-${index}`);
  await forEachBounded(ids, LOAD_CONNECTIONS, async (id, index) => {
    await writer.put(SINGLES, id, { text: "written while node-2 was away", index });
  });
  say(`${ids.length} documents written on node-0`);
  const node = await formation.start(2);
  const readyMs = await node.ready();
  const before = await node.api.summary();
  const all = documents + ids.length;
  await formation.equal(all, EQUAL_LIMIT_MS);
  const equalMs = performance.now() - node.startedMs;
  say(
    `node-2 ready ${readyMs.toFixed(0)} ms after its start, with ${before.documents} of ${all} documents`,
  );
  say(`node-2 has caught up ${equalMs.toFixed(0)} ms after its start`);
  return all;
}

async function show(formation: Formation, airports: readonly Airport[]): Promise<void> {
  await startNodes(formation);
  await load(formation.node(0).api, airports);
  await showEqual(formation, {
    documents: airports.length,
    sha256: hashOfAirports(airports),
  });
  await showLatency(formation);
  const singles = documentsAfter(SINGLE_WRITES);
  const documents = await showRecovery(formation, airports.length + singles);
  await showEqual(formation, { documents });
}

function invite(formation: Formation): void {
  const urls = formation.running.map((node) => `${node.api.url}/api/v1`);
  const airport = `documents/${AIRPORTS.collection}/EDDF`;
  console.log("\nThe formation runs on. Each node shows the mesh, and itself, in a browser:\n");
  for (const { name, api } of formation.running) console.log(`  ${name}  ${api.url}/`);
  console.log("\nOr try:\n");
  for (const url of urls) console.log(`  curl ${url}/${airport}`);
  console.log(
    `  curl -X PATCH -H 'content-type: application/json' -d '{"note":"hello"}' ${urls[1]}/${airport}`,
  );
  console.log(`  curl '${urls[2]}/documents/${AIRPORTS.collection}?limit=3'`);
  for (const url of urls) console.log(`  curl ${url}/peers`);
  console.log("\nCtrl-C stops the nodes and removes their data.");
}

class Interrupted extends Error {
  override readonly name = "Interrupted";
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      once: { type: "boolean", default: false },
      records: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const records = values.records === undefined ? Number.POSITIVE_INFINITY : Number(values.records);
  if (values.help || Number.isNaN(records) || records < 1) {
    console.log(USAGE);
    return values.help ? 0 : 64;
  }
  let formation: Formation | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        formation?.expectEnd();
        reject(new Interrupted(signal));
      });
    }
  });
  let isShown = false;
  try {
    await build();
    const airports = (await loadAirports()).slice(0, records);
    formation = await Formation.prepare({ executable: meshNodePath, nodes: NODES });
    await Promise.race([show(formation, airports), interrupted]);
    isShown = true;
    console.log("\nEverything matched.");
    if (values.once) return 0;
    invite(formation);
    return await Promise.race([interrupted, formation.failed]);
  } catch (error) {
    if (error instanceof Interrupted) {
      console.log("\nstopping");
      return isShown ? 0 : 130;
    }
    console.error(`\nquickstart failed: ${error instanceof Error ? error.message : String(error)}`);
    for (const node of formation?.running ?? []) {
      console.error(`\n  last lines of ${node.name}:\n${node.logTail()}`);
    }
    return 1;
  } finally {
    await formation?.[Symbol.asyncDispose]();
  }
}

// Waits that were overtaken by a failure must not keep the process.
process.exit(await main());
