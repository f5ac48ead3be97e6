// A large file between two nodes: what it costs both in memory, and what documents wait for it.
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { meshNodePath } from "../support/executable.ts";
import { Formation } from "../support/formation.ts";
import type { NodeProcess } from "../support/node-process.ts";
import { median, percentile } from "../support/percentiles.ts";
import { measureVisible } from "../support/visible-latency.ts";
import { waitFor } from "../support/waiting.ts";
import type { Plan } from "./plan.ts";
import { residentMb } from "./processes.ts";
import type { Report } from "./report.ts";

const MIB = 1024 * 1024;
/** Above what the node has at rest. */
const RSS_MB_MAX = 64;
/** Of a document, beyond what it takes at rest. */
const DELAY_MS_MAX = 100;
const LEVELLING_MS = 10_000;
const SAMPLE_MS = 100;
const LIMIT_MS = 15 * 60_000;
const FILE = "large.bin";

async function writeLarge(path: string, mib: number): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for (let part = 0; part < mib; part += 8) {
    const bytes = randomBytes(Math.min(8, mib - part) * MIB);
    hasher.update(bytes);
    await appendFile(path, bytes);
  }
  return hasher.digest("base64");
}

async function call(socket: string, method: string, request: object): Promise<unknown> {
  const response = await fetch(`http://localhost/peat.sidecar.v1.PeatSidecar/${method}`, {
    unix: socket,
    method: "POST",
    headers: { "content-type": "application/json", "connect-timeout-ms": "300000" },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Greatest resident memory until stopped. */
function watchMemory(node: NodeProcess): () => number {
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, residentMb(node.pid));
  }, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

interface Pair {
  readonly formation: Formation;
  readonly sender: NodeProcess;
  readonly receiver: NodeProcess;
  readonly socket: string;
  readonly outbox: string;
}

async function openPair(mib: number): Promise<Pair> {
  const formation = await Formation.prepare({ executable: meshNodePath, nodes: 2 });
  const outbox = join(formation.folder, "outbox");
  mkdirSync(outbox);
  const socket = join(formation.folder, "rpc.sock");
  const limits = { PEAT_ATTACHMENT_MAX_FILE_BYTES: String(mib * MIB) };
  const sender = await formation.start(0, {
    env: { ...limits, PEAT_ATTACHMENT_ROOT: `out=${outbox}`, PEAT_LISTEN: `unix://${socket}` },
  });
  const inbox = join(formation.folder, "inbox");
  const receiver = await formation.start(1, {
    env: { ...limits, PEAT_ATTACHMENT_INBOX: inbox },
  });
  await Promise.all([sender.ready(), receiver.ready()]);
  await Promise.all([sender.connected(1), receiver.connected(1)]);
  return { formation, sender, receiver, socket, outbox };
}

interface Status {
  readonly status: string;
  readonly error?: string;
}

export async function benchAttachments(plan: Plan, report: Report): Promise<void> {
  const mib = plan.attachmentMib;
  report.begin(`A file of ${mib} MiB from one node to another`);
  const pair = await openPair(mib);
  await using formation = pair.formation;
  const { sender, receiver, socket, outbox } = pair;
  const latencies = async (writes: number) => {
    const options = { writer: sender.api, watched: [receiver.api], collection: "notes", writes };
    return (await measureVisible({ ...options, pauseMs: 50 })).onAll;
  };
  const sha256 = await writeLarge(join(outbox, FILE), mib);
  const before = await latencies(100);
  await Bun.sleep(LEVELLING_MS);
  const atRest = [sender, receiver].map(({ pid }) => residentMb(pid));
  const peaks = [sender, receiver].map(watchMemory);

  const during: number[] = [];
  const progress = { isOver: false };
  const measuring = (async () => {
    while (!progress.isOver) during.push(...(await latencies(10)));
  })();
  const startedMs = performance.now();
  const file = { rootName: "out", relativePath: FILE, sizeBytes: String(mib * MIB), sha256 };
  const sent = await call(socket, "SendAttachments", { files: [file], scope: { allNodes: {} } });
  const copiedMs = performance.now() - startedMs;
  const { handles } = sent as { handles: readonly { distributionId: string }[] };
  const distributionId = handles[0]?.distributionId;
  const done = waitFor(
    "the file to arrive",
    LIMIT_MS,
    async () => {
      const now = await call(socket, "GetAttachmentDistribution", { distributionId });
      const { status, error } = now as Status;
      if (status === "DISTRIBUTION_STATUS_FAILED") throw new Error(error);
      return status === "DISTRIBUTION_STATUS_COMPLETED" ? true : undefined;
    },
    200,
  );
  try {
    await Promise.race([done, formation.failed]);
  } finally {
    progress.isOver = true;
    await measuring;
  }
  const seconds = (performance.now() - startedMs) / 1000;
  report.add("copied and hashed", [copiedMs / 1000], "s");
  report.add("arrived, from the call on", [seconds], "s");
  report.add("on the way", [mib / (seconds - copiedMs / 1000)], "MiB/s");
  const names = ["sender", "receiver"];
  for (const [index, name] of names.entries()) {
    const rest = atRest[index] ?? 0;
    report.add(`${name}, resident at rest`, [rest], "MB");
    const above = (peaks[index]?.() ?? 0) - rest;
    report.add(`${name}, greatest above that`, [above], "MB", { atMost: RSS_MB_MAX });
  }
  const worst = Math.max(...during);
  for (const [when, values] of [
    ["before", before],
    ["meanwhile", during],
  ] as const) {
    report.add(`a document, ${when}`, values, "ms");
    report.add(`of a hundred documents the slowest, ${when}`, [percentile(values, 99)], "ms");
  }
  report.add("the slowest document, beyond the median before", [worst - median(before)], "ms", {
    atMost: DELAY_MS_MAX,
  });
}
