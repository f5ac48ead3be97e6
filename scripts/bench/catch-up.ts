// A node that comes to a formation full of documents: with nothing, with everything, with all but a few changes.
import type { BrokerApi } from "../support/broker-api.ts";
import type { Formation } from "../support/formation.ts";
import { forEachBounded } from "../support/waiting.ts";
import type { BareAutomerge } from "./bare-automerge.ts";
import { BENCH_COLLECTION, positionReport } from "./documents.ts";
import { type Plan, rounds } from "./plan.ts";
import { cpuSeconds } from "./processes.ts";
import type { Report } from "./report.ts";

const SHARE_OF_BARE = 0.5;
const NOTHING_NEW_BYTES_MAX = 2048;
const CHANGED_DOCUMENTS = 10;
const SETTLE_MS = 2000;

/** UDP payload of each of the node's connections so far, both ways, handshake included. */
async function bytesPerPeer(node: BrokerApi): Promise<number[]> {
  const peers = (await node.peers()).filter((peer) => peer.connected);
  return peers.map((peer) => {
    if (peer.sent_bytes === undefined || peer.received_bytes === undefined) {
      throw new Error(`GET /api/v1/peers of ${node.url} does not tell bytes`);
    }
    return peer.sent_bytes + peer.received_bytes;
  });
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

async function coldCatchUp(formation: Formation, plan: Plan) {
  await formation.stop(2);
  await formation.wipe(2);
  const sources = [formation.node(0), formation.node(1)];
  const cpuBefore = sum(sources.map((node) => cpuSeconds(node.pid)));
  const node = await formation.start(2);
  await node.ready(plan.limitMs);
  await formation.equal(plan.documents, plan.limitMs);
  const seconds = (performance.now() - node.startedMs) / 1000;
  return {
    perSecond: plan.documents / seconds,
    bytesPerDocument: sum(await bytesPerPeer(node.api)) / plan.documents,
    cpu: cpuSeconds(node.pid),
    sourcesCpu: sum(sources.map((source) => cpuSeconds(source.pid))) - cpuBefore,
  };
}

interface Reconnect {
  readonly formation: Formation;
  readonly plan: Plan;
  /** Documents that the formation holds. */
  readonly documents: number;
  /** So many of them are changed while the node is away. */
  readonly changes: number;
}

async function reconnect({ formation, plan, documents, changes }: Reconnect, round: number) {
  await formation.stop(2);
  const numbers = Array.from({ length: changes }, (_, index) => index * 97);
  const { api } = formation.node(0);
  await forEachBounded(numbers, changes, (number) =>
    api.put(BENCH_COLLECTION, `r-${number}`, positionReport(number, 1000 + round)),
  );
  const node = await formation.start(2);
  await node.ready();
  await node.connected(2);
  const connectedMs = performance.now() - node.startedMs;
  await formation.equal(documents, plan.limitMs);
  const equalMs = performance.now() - node.startedMs;
  // The comparison that follows every connect is part of the price, and the same wait is part of every round.
  await Bun.sleep(SETTLE_MS);
  const perPeer = await bytesPerPeer(node.api);
  return { connectedMs, equalMs, most: Math.max(...perPeer), all: sum(perPeer) };
}

/** Bytes per link when a node of an empty formation reconnects: the handshakes, and nothing to compare. */
export async function benchEmptyReconnect(
  formation: Formation,
  plan: Plan,
  report: Report,
): Promise<number> {
  report.begin("Reconnect without any documents (node-2 restarted)");
  const options = { formation, plan, documents: 0, changes: 0 };
  const results = await rounds(plan, (round) => reconnect(options, round));
  return report.add(
    "bytes per link, the larger; handshake included",
    results.map((r) => r.most),
    "bytes",
  );
}

export async function benchReconnect(
  formation: Formation,
  plan: Plan,
  emptyBytes: number,
  report: Report,
): Promise<void> {
  const { documents } = plan;
  report.begin(`Reconnect with ${documents} documents (node-2 restarted)`);
  const options = { formation, plan, documents };
  const same = await rounds(plan, (round) => reconnect({ ...options, changes: 0 }, round));
  const bytes = report.add(
    "nothing new: bytes per link, the larger; handshake included",
    same.map((r) => r.most),
    "bytes",
  );
  report.add("  more than without any documents", [Math.max(0, bytes - emptyBytes)], "bytes", {
    atMost: NOTHING_NEW_BYTES_MAX,
  });
  report.add(
    "nothing new: from process start to both links up",
    same.map((r) => r.connectedMs),
    "ms",
  );
  const changes = CHANGED_DOCUMENTS;
  const few = await rounds(plan, (round) => reconnect({ ...options, changes }, round));
  report.add(
    `${changes} changed: bytes on both links, handshakes included`,
    few.map((r) => r.all),
    "bytes",
  );
  report.add(
    `${changes} changed: from process start to equal`,
    few.map((r) => r.equalMs),
    "ms",
  );
}

export async function benchCatchUp(
  formation: Formation,
  plan: Plan,
  bare: BareAutomerge,
  report: Report,
): Promise<void> {
  report.begin(`Cold catch-up of ${plan.documents} documents (node-2 empty, from its start)`);
  const cold = await rounds(plan, () => coldCatchUp(formation, plan));
  const rate = report.add(
    "documents per second",
    cold.map((c) => c.perSecond),
    "documents/s",
  );
  report.add(
    "  as a share of the bare loop of load and save",
    [rate / bare.loadSavePerSecond],
    "ratio",
    {
      atLeast: SHARE_OF_BARE,
    },
  );
  report.add(
    "bytes on the links per document, both ways",
    cold.map((c) => c.bytesPerDocument),
    "bytes",
  );
  report.add(
    "CPU of the newcomer, its start included",
    cold.map((c) => c.cpu),
    "s",
  );
  report.add(
    "CPU of the two others",
    cold.map((c) => c.sourcesCpu),
    "s",
  );
}
