// Costs as curves: bytes on the wire per change beside the bare Automerge change, and everything over the number of
// peers and of documents.
import { statSync } from "node:fs";
import { join } from "node:path";
import * as Automerge from "@automerge/automerge";
import type { BrokerApi, Document } from "../support/broker-api.ts";
import { meshNodePath } from "../support/executable.ts";
import { Formation } from "../support/formation.ts";
import { median, percentile } from "../support/percentiles.ts";
import { measureVisible } from "../support/visible-latency.ts";
import { forEachBounded } from "../support/waiting.ts";
import { BENCH_COLLECTION, positionReport } from "./documents.ts";
import { MANY_CLIENTS, type Plan } from "./plan.ts";
import { cpuSeconds, residentMb } from "./processes.ts";
import type { Report } from "./report.ts";
import { writeDocuments } from "./writes.ts";

const PEERS = [2, 4, 8];
const PAUSE_MS = 5;
const PAGE = 100;
const PAGES = 20;

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** UDP payload that all nodes together have sent on the connections that are up. */
async function sentByAll(formation: Formation): Promise<number> {
  const peers = await Promise.all(formation.running.map((node) => node.api.peers()));
  return sum(peers.flat().map((peer) => peer.sent_bytes ?? 0));
}

async function open(nodes: number): Promise<Formation> {
  const formation = await Formation.prepare({ executable: meshNodePath, nodes });
  try {
    await formation.startAll();
    return formation;
  } catch (reason) {
    await formation[Symbol.asyncDispose]();
    throw reason;
  }
}

/** Mean length of the Automerge changes that the same writes of one document make, the first left out. */
function bareChangeBytes(changes: number): number {
  let doc = Automerge.init<Document>();
  let bytes = 0;
  for (let revision = 0; revision <= changes; revision += 1) {
    const fields = Object.entries(positionReport(1, revision)).map(([name, value]) => [
      name,
      typeof value === "string" ? new Automerge.ImmutableString(value) : value,
    ]);
    doc = Automerge.change(doc, (draft) => {
      for (const [name, value] of fields) {
        const before = draft[String(name)];
        if (String(before) !== String(value)) Object.assign(draft, { [String(name)]: value });
      }
    });
    if (revision > 0) bytes += Automerge.getLastLocalChange(doc)?.length ?? 0;
  }
  return bytes / changes;
}

async function bytesPerChange(
  formation: Formation,
  collection: string,
  options: { changes: number; clients: number },
): Promise<number> {
  const { api } = formation.node(0);
  const id = (n: number) => `w-${n % options.clients}`;
  const write = (n: number) => api.put(collection, id(n), positionReport(n % options.clients, n));
  await forEachBounded([...Array(options.clients).keys()], options.clients, write);
  const documents = (await api.summary()).documents;
  await formation.equal(documents, 30_000);
  const before = await sentByAll(formation);
  const numbers = Array.from({ length: options.changes }, (_, i) => i + options.clients);
  await forEachBounded(numbers, options.clients, async (n) => {
    await write(n);
    if (options.clients === 1) await Bun.sleep(PAUSE_MS);
  });
  await formation.equal(documents, 30_000);
  return ((await sentByAll(formation)) - before) / options.changes;
}

/** QUIC's own bytes count too: packets, acknowledgements. */
export async function benchWire(plan: Plan, report: Report): Promise<void> {
  report.begin("Bytes of UDP payload per change, both ways, two nodes");
  const changes = plan.oneClientWrites;
  const bare = bareChangeBytes(changes);
  report.add("the bare Automerge change of the same write", [bare], "bytes");
  await using formation = await open(2);
  for (const [collection, what] of [
    [BENCH_COLLECTION, "with history"],
    ["tracks", "latest only"],
  ] as const) {
    for (const clients of [1, MANY_CLIENTS]) {
      const how = clients === 1 ? "one after the other" : `${clients} clients at once`;
      const bytes = await bytesPerChange(formation, collection, { changes, clients });
      report.add(`${what}, ${how}`, [bytes], "bytes");
      report.add("  as a multiple of the bare change", [bytes / bare], "ratio");
    }
  }
}

export async function benchPeers(plan: Plan, report: Report): Promise<void> {
  for (const nodes of PEERS) {
    report.begin(`${nodes} nodes in a full mesh, all on this machine`);
    await using formation = await open(nodes);
    const [writer, ...others] = formation.running.map((node) => node.api);
    if (writer === undefined) throw new Error("no node runs");
    const { onAll } = await measureVisible({
      writer,
      watched: others,
      collection: "visible",
      writes: plan.singleWrites,
      pauseMs: PAUSE_MS,
    });
    report.add("write to visible on all, p50", [percentile(onAll, 50)], "ms");
    report.add("write to visible on all, p99", [percentile(onAll, 99)], "ms");
    const { documents } = await writer.summary();
    const count = plan.oneClientWrites * 2;
    const cpu = () => sum(formation.running.map((node) => cpuSeconds(node.pid)));
    const [cpuBefore, bytesBefore] = [cpu(), await sentByAll(formation)];
    const options = { formation, clients: MANY_CLIENTS, from: 0, count, revision: 0 };
    report.add(`writes/s, ${MANY_CLIENTS} clients`, [await writeDocuments(options)], "writes/s");
    await formation.equal(documents + count, plan.limitMs);
    report.add("CPU of all nodes per 1,000 writes", [((cpu() - cpuBefore) * 1000) / count], "s");
    const bytes = (await sentByAll(formation)) - bytesBefore;
    report.add("UDP payload of all nodes per write", [bytes / count], "bytes");
    report.add("  per write and receiving node", [bytes / count / (nodes - 1)], "bytes");
  }
}

async function pageMs(api: BrokerApi): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < PAGES; i += 1) {
    const startedMs = performance.now();
    const path = `/api/v1/documents/${BENCH_COLLECTION}?limit=${PAGE}&after=r-${i}`;
    const response = await fetch(`${api.url}${path}`);
    await response.arrayBuffer();
    times.push(performance.now() - startedMs);
  }
  return median(times);
}

export async function benchDocuments(
  plan: Plan,
  counts: readonly number[],
  report: Report,
): Promise<void> {
  for (const count of counts) {
    report.begin(`${count} documents, two nodes`);
    await using formation = await open(2);
    const clients = MANY_CLIENTS;
    const rate = await writeDocuments({ formation, clients, from: 0, count, revision: 0 });
    report.add(`writes/s, ${clients} clients`, [rate], "writes/s");
    await formation.equal(count, plan.limitMs);

    await formation.stop(1);
    const file = statSync(join(formation.folder, "node-1", "automerge", "peat.db"));
    report.add("database file per document", [file.size / count], "bytes");
    const same = await formation.start(1);
    report.add("start to ready", [await same.ready(plan.limitMs)], "ms");
    await same.connected(1);
    await formation.equal(count, plan.limitMs);
    await Bun.sleep(2000);
    const bytes = sum(
      (await same.api.peers()).map((p) => (p.sent_bytes ?? 0) + (p.received_bytes ?? 0)),
    );
    report.add("reconnect with nothing new, handshake included", [bytes], "bytes");

    await formation.stop(1);
    await formation.wipe(1);
    const cold = await formation.start(1);
    await cold.ready(plan.limitMs);
    await formation.equal(count, plan.limitMs);
    const seconds = (performance.now() - cold.startedMs) / 1000;
    report.add("cold catch-up, from process start", [count / seconds], "documents/s");

    const { onAll } = await measureVisible({
      writer: formation.node(0).api,
      watched: [cold.api],
      collection: "visible",
      writes: plan.singleWrites,
      pauseMs: PAUSE_MS,
    });
    report.add("write to visible, p50", [percentile(onAll, 50)], "ms");
    report.add(`a page of ${PAGE} documents`, [await pageMs(cold.api)], "ms");
    await Bun.sleep(plan.restMs / 6);
    report.add(
      "resident memory at rest",
      formation.running.map((n) => residentMb(n.pid)),
      "MB",
    );
  }
}
