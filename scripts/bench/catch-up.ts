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

/** Bytes of frames that the node exchanged with each of its peers since it started, as it counts them. */
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

async function reconnect(formation: Formation, plan: Plan, changes: number, round: number) {
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
  await formation.equal(plan.documents, plan.limitMs);
  const equalMs = performance.now() - node.startedMs;
  const perPeer = await bytesPerPeer(node.api);
  return { connectedMs, equalMs, most: Math.max(...perPeer), all: sum(perPeer) };
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
  report.add("  of the bare loop of load and save", [rate / bare.loadSavePerSecond], "ratio", {
    atLeast: SHARE_OF_BARE,
  });
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

  report.begin(`Reconnect with ${plan.documents} documents (node-2 restarted)`);
  const same = await rounds(plan, (round) => reconnect(formation, plan, 0, round));
  report.add(
    "nothing new: bytes per link, the larger",
    same.map((r) => r.most),
    "bytes",
    { atMost: NOTHING_NEW_BYTES_MAX },
  );
  report.add(
    "nothing new: from process start to both links up",
    same.map((r) => r.connectedMs),
    "ms",
  );
  const few = await rounds(plan, (round) => reconnect(formation, plan, CHANGED_DOCUMENTS, round));
  report.add(
    `${CHANGED_DOCUMENTS} changed: bytes on both links`,
    few.map((r) => r.all),
    "bytes",
  );
  report.add(
    `${CHANGED_DOCUMENTS} changed: from process start to equal`,
    few.map((r) => r.equalMs),
    "ms",
  );
}
