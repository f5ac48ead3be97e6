// The names of all metrics of a node that has everything: documents, peers, files, certificate.
import { NodeMetrics } from "../../src/node-metrics.ts";
import { NodeStatus } from "../../src/node-status.ts";
import { randomSecret, TestNode } from "./start-node.ts";
import { VirtualClock } from "./virtual-clock.ts";

const NO_FILES = {
  traffic: { sentBytes: 0, receivedBytes: 0 },
  sending: undefined,
  inbox: undefined,
};

/** By name, its type: counter, gauge or histogram. */
async function metricTypes(): Promise<ReadonlyMap<string, string>> {
  await using node = await TestNode.start({ name: "alpha", secrets: [randomSecret()] });
  const { name: nodeName, store, coordinator } = node;
  const clock = new VirtualClock();
  const status = new NodeStatus({ nodeName, version: "0.1.0", clock, store, coordinator });
  const metrics = new NodeMetrics(clock);
  const files = { figures: () => NO_FILES };
  const [databasePath, tlsCert] = ["/nowhere/peat.db", "/nowhere/cert.pem"];
  metrics.watch({ store, status, coordinator, files, databasePath, tlsCert });
  const types = metrics.print().matchAll(/^# TYPE (\S+) (\S+)$/gm);
  return new Map([...types].map(([, name = "", type = ""]) => [name, type]));
}

/** Every name that series have: of a histogram three. */
export async function seriesNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const [name, type] of await metricTypes()) {
    if (type !== "histogram") names.add(name);
    else for (const end of ["_bucket", "_sum", "_count"]) names.add(name + end);
  }
  return names;
}

/** Names of the node's metrics in a text. */
export function metricNamesIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:peat|process)_[a-z0-9_]*[a-z0-9]\b/g) ?? [])];
}
