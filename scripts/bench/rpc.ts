// What RPC clients get of one node: calls over one HTTP/2 connection and over many, changes told to subscribers; and
// beside it the same calls on Connect as it comes, under Node and under Bun.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { meshNodePath } from "../support/executable.ts";
import { Formation } from "../support/formation.ts";
import { percentile } from "../support/percentiles.ts";
import { freeTcpPort } from "../support/ports.ts";
import { MANY_CLIENTS, type Plan, rounds } from "./plan.ts";
import { cpuSeconds, residentMb } from "./processes.ts";
import type { Aim, Report } from "./report.ts";
import type { Job, LoadResult, SubscribersResult } from "./rpc-jobs.ts";

const GETS_PER_SECOND: Aim = { atLeast: 5000 };
const ONE_GET_MS: Aim = { atMost: 1 };
const TOLD_MS: Aim = { atMost: 5 };
const SUBSCRIBERS = 1000;
/** Of 128 streams each. */
const SUBSCRIBER_CONNECTIONS = 16;
const PAUSE_MS = 20;
/** A client that works for so large a part of the time may be what is measured. */
const BUSY_CLIENT = 0.7;

const processes = join(import.meta.dir, "processes");

/** Runs clients in a process of their own. */
async function runClients<T>(job: Job): Promise<T> {
  const command = [process.execPath, join(processes, "rpc-clients.ts"), JSON.stringify(job)];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`the clients failed: ${text}`);
  return JSON.parse(text);
}

interface Target {
  readonly port: number;
  readonly pid: number;
}

interface Load {
  readonly name: string;
  readonly call: "PutDocument" | "GetDocument";
  readonly connections: number;
  readonly clients: number;
  readonly callsEach: number;
  readonly times: number;
}

interface Measured extends LoadResult {
  readonly serverCpuSeconds: number;
}

function loads(plan: Plan): Load[] {
  const callsEach = plan.rpcCalls;
  const clients = MANY_CLIENTS;
  const put = { call: "PutDocument", clients, callsEach, times: 1 } as const;
  const get = { call: "GetDocument", clients, callsEach, times: plan.rounds } as const;
  return [
    { name: `put, ${clients} clients on one connection`, connections: 1, ...put },
    { name: `put again, ${clients} clients, a connection each`, connections: clients, ...put },
    { name: `get, ${clients} clients on one connection`, connections: 1, ...get },
    { name: `get, ${clients} clients, a connection each`, connections: clients, ...get },
    { name: "get, one client", ...get, connections: 1, clients: 1, callsEach: 2 * callsEach },
  ];
}

async function runLoad({ port, pid }: Target, load: Load, plan: Plan): Promise<Measured> {
  const documentsEach = plan.rpcCalls;
  const { call, connections, clients, callsEach } = load;
  const cpuBefore = cpuSeconds(pid);
  const job: Job = { kind: "load", port, connections, clients, callsEach, documentsEach, call };
  const result = await runClients<LoadResult>(job);
  if (result.failures > 0) throw new Error(`${result.failures} calls failed: ${load.name}`);
  return { ...result, serverCpuSeconds: cpuSeconds(pid) - cpuBefore };
}

/** `isAimed`: the aims are ours, not those of what runs beside us. */
async function measureLoads(
  target: Target,
  { plan, report, isAimed }: { plan: Plan; report: Report; isAimed: boolean },
): Promise<void> {
  for (const load of loads(plan)) {
    const found = await rounds({ ...plan, rounds: load.times }, () => runLoad(target, load, plan));
    const of = (pick: (one: Measured) => number) => found.map(pick);
    const isGet = load.call === "GetDocument";
    if (load.clients === 1) {
      const times = of((one) => one.p50Ms);
      report.add(`${load.name}, p50`, times, "ms", isAimed ? ONE_GET_MS : undefined);
      continue;
    }
    const rates = of((one) => one.calls / one.seconds);
    report.add(load.name, rates, "calls/s", isAimed && isGet ? GETS_PER_SECOND : undefined);
    report.add(
      "  p50",
      of((one) => one.p50Ms),
      "ms",
    );
    report.add(
      "  p99",
      of((one) => one.p99Ms),
      "ms",
    );
    report.add(
      "  of the server's CPU, each",
      of((one) => (one.serverCpuSeconds * 1e6) / one.calls),
      "µs",
    );
    const share = percentile(
      of((one) => one.clientCpuSeconds / one.seconds),
      100,
    );
    report.add("  of a core for the clients", [share], "cores");
    if (share > BUSY_CLIENT) report.note("  the clients are busy", "they may be the bottleneck");
  }
}

async function measureSubscribers(
  { port, pid }: Target,
  { plan, report }: { plan: Plan; report: Report },
): Promise<void> {
  const puts = plan.singleWrites;
  const common = { kind: "subscribers", port, puts, pauseMs: PAUSE_MS } as const;
  const one = await runClients<SubscribersResult>({ ...common, connections: 1, subscribers: 1 });
  const memoryBefore = residentMb(pid);
  const cpuBefore = cpuSeconds(pid);
  const many = await runClients<SubscribersResult>({
    ...common,
    connections: SUBSCRIBER_CONNECTIONS,
    subscribers: SUBSCRIBERS,
  });
  if (one.failures + many.failures > 0) throw new Error("a subscriber was cut off");
  report.add("put to answer, p50", [percentile(one.answered, 50)], "ms");
  report.add("put to its subscriber, p50", [percentile(one.first, 50)], "ms", TOLD_MS);
  report.add("put to its subscriber, p99", [percentile(one.first, 99)], "ms");
  report.add(`put to the first of ${SUBSCRIBERS}, p50`, [percentile(many.first, 50)], "ms");
  report.add(`put to the last of ${SUBSCRIBERS}, p50`, [percentile(many.all, 50)], "ms");
  const told = (puts + 1) * SUBSCRIBERS;
  report.add("CPU for each change told", [((cpuSeconds(pid) - cpuBefore) * 1e6) / told], "µs");
  const memory = residentMb(pid) - memoryBefore;
  report.add(`memory for ${SUBSCRIBERS} subscribers, at the end`, [memory], "MB");
}

/** Connect as it comes, with a Map for a store, under another program. */
async function measureBare(
  runtime: string,
  options: { plan: Plan; report: Report },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "peat-bench-"));
  const bundle = await Bun.build({
    entrypoints: [join(processes, "bare-connect.ts")],
    target: "node",
    outdir: folder,
    naming: "bare-connect.mjs",
  });
  if (!bundle.success) throw new Error("the bare server can't be built");
  const child = Bun.spawn([runtime, join(folder, "bare-connect.mjs")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const { value } = await child.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value));
    await measureLoads({ port, pid: child.pid }, { ...options, isAimed: false });
  } finally {
    child.kill();
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function benchRpc(plan: Plan, report: Report): Promise<void> {
  const port = await freeTcpPort();
  {
    await using formation = await Formation.prepare({
      executable: meshNodePath,
      nodes: 1,
      env: { PEAT_LISTEN: `tcp://127.0.0.1:${port}`, PEAT_API_OPEN: "loopback" },
    });
    await formation.startAll();
    const target = { port, pid: formation.node(0).pid };
    report.begin("RPC of one node: Connect over HTTP/2, binary");
    await measureLoads(target, { plan, report, isAimed: true });
    report.begin("RPC of one node: changes told to subscribers");
    await measureSubscribers(target, { plan, report });
  }
  const node = Bun.which("node");
  report.begin("The same calls on bare Connect under Node, without a disk");
  if (node === null) report.note("skipped", "there is no node on this machine");
  else await measureBare(node, { plan, report });
  report.begin("The same calls on bare Connect under Bun, without a disk");
  await measureBare(process.execPath, { plan, report });
}
