// What it costs to be asked for metrics, by the number of peers that a node is connected to.
import { readFileSync } from "node:fs";
import { Secret } from "../../src/base/secret.ts";
import { type NodeName, parseNodeName } from "../../src/identity/peer.ts";
import { TestNode } from "../../test/support/start-node.ts";
import { meshNodePath } from "../support/executable.ts";
import { Formation } from "../support/formation.ts";
import { waitFor } from "../support/waiting.ts";
import type { Plan } from "./plan.ts";
import type { Report } from "./report.ts";

const SCRAPES = 200;
const CONNECT_MS = 120_000;
const MS_PER_SEC = 1000;
const KIB = 1024;

interface Scrape {
  readonly ms: number;
  readonly bytes: number;
}

async function scrape(url: string): Promise<Scrape> {
  const startedMs = performance.now();
  const text = await (await fetch(`${url}/metrics`)).text();
  return { ms: performance.now() - startedMs, bytes: Buffer.byteLength(text) };
}

/** CPU time of the process, of its own account. */
async function cpuSecs(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1]);
}

/** So many real peers, all in this process, connected to the one node and not to each other. */
async function openPeers(
  count: number,
  secret: Secret<Uint8Array>,
  target: { name: NodeName; address: string },
): Promise<AsyncDisposableStack> {
  const peers = new AsyncDisposableStack();
  for (let n = 0; n < count; n += 1) {
    const peer = peers.use(await TestNode.start({ name: `peer-${n}`, secrets: [secret] }));
    peer.seek(target);
  }
  return peers;
}

/** The share of a core is that of one scrape in 15 s. */
export async function benchScrape(plan: Plan, report: Report): Promise<void> {
  for (const count of plan.rounds > 1 ? [0, 10, 100] : [0, 20]) {
    report.begin(`Metrics of a node with ${count} peers`);
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
    await formation.startAll();
    const node = formation.node(0);
    const { secretFile, irohPort } = formation.settings(0);
    const secret = new Secret(
      Uint8Array.from(Buffer.from(readFileSync(secretFile, "utf8"), "base64")),
    );
    const target = { name: parseNodeName(node.name), address: `127.0.0.1:${irohPort}` };
    await using _ = await openPeers(count, secret, target);
    await waitFor("all peers", CONNECT_MS, async () => {
      const peers = await node.api.peers();
      return peers.filter(({ connected }) => connected).length === count || undefined;
    });
    const cpuBefore = await cpuSecs(node.api.url);
    const scrapes: Scrape[] = [];
    for (let n = 0; n < SCRAPES; n += 1) scrapes.push(await scrape(node.api.url));
    const cpuMs = ((await cpuSecs(node.api.url)) - cpuBefore) * MS_PER_SEC;
    report.add(
      "one scrape",
      scrapes.map(({ ms }) => ms),
      "ms",
    );
    report.add("CPU time of one scrape", [cpuMs / SCRAPES], "ms");
    report.add("its text", [(scrapes.at(-1)?.bytes ?? 0) / KIB], "KiB");
  }
}
