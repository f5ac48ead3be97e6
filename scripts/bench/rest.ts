// What three connected nodes full of documents cost while nothing happens.
import type { Formation } from "../support/formation.ts";
import type { NodeProcess } from "../support/node-process.ts";
import type { Plan } from "./plan.ts";
import { cpuSeconds, residentMb } from "./processes.ts";
import type { Report } from "./report.ts";

const RSS_MB_MAX = 90;
const CPU_PERCENT_MAX = 0.3;
const LEVELLING_MS = 10_000;

/** UDP payload that a node has sent on its connections so far. */
async function sentBytes(node: NodeProcess): Promise<number> {
  const peers = await node.api.peers();
  return peers.reduce((sum, peer) => sum + (peer.sent_bytes ?? 0), 0);
}

export async function benchRest(formation: Formation, plan: Plan, report: Report): Promise<void> {
  report.begin(`At rest with ${plan.documents} documents, over ${plan.restMs / 1000} s`);
  // What the last measurement left to do (reconciliation, checkpoints) is not rest.
  await Bun.sleep(Math.min(LEVELLING_MS, plan.restMs));
  const nodes = formation.running;
  const sentBefore = await Promise.all(nodes.map(sentBytes));
  const cpuBefore = nodes.map((node) => cpuSeconds(node.pid));
  const startedMs = performance.now();
  await Promise.race([Bun.sleep(plan.restMs), formation.failed]);
  const seconds = (performance.now() - startedMs) / 1000;
  const percent = nodes.map(
    (node, index) => ((cpuSeconds(node.pid) - (cpuBefore[index] ?? 0)) / seconds) * 100,
  );
  const sentAfter = await Promise.all(nodes.map(sentBytes));
  report.add("CPU of one node", percent, "% of a core", { atMost: CPU_PERCENT_MAX });
  report.add(
    "resident memory of one node",
    nodes.map((node) => residentMb(node.pid)),
    "MB",
    { atMost: RSS_MB_MAX },
  );
  report.add(
    "UDP payload that one node sends to two peers",
    sentAfter.map((sent, index) => (sent - (sentBefore[index] ?? 0)) / seconds),
    "bytes/s",
  );
}
