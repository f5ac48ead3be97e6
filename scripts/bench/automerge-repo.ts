// The nearest thing on npm: automerge-repo with its websocket server and file storage, given the same work.
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "../support/at-exit.ts";
import { percentile } from "../support/percentiles.ts";
import { freeTcpPort } from "../support/ports.ts";
import { positionReport } from "./documents.ts";
import { MANY_CLIENTS, type Plan, rounds } from "./plan.ts";
import type { Command, Message } from "./processes/messages.ts";
import { residentMb } from "./processes.ts";
import type { Report } from "./report.ts";

const COMMAND_SLACK_MS = 30_000;
const PAUSE_MS = 5;

type Reply = Exclude<Message, { kind: "ready" } | { kind: "seen" }>;

/** One process of the other system, and a conversation with it. */
class RepoProcess {
  readonly #child: Bun.Subprocess;
  readonly #replies = new Map<number, (reply: Reply) => void>();
  readonly #seen = new Map<string, (atMs: number) => void>();
  readonly ready: Promise<void>;
  #next = 0;

  constructor(script: string, port: number, folder: string) {
    let isReady = (): void => undefined;
    this.ready = new Promise((resolve) => {
      isReady = resolve;
    });
    this.#child = Bun.spawn(
      [process.execPath, join(import.meta.dirname, "processes", script), String(port), folder],
      {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
        serialization: "advanced",
        ipc: (message: Message) => {
          if (message.kind === "ready") isReady();
          else if (message.kind === "seen") this.#hear(message.url + message.nonce);
          else this.#replies.get(message.number)?.(message);
        },
      },
    );
    const child = this.#child;
    child.exited.finally(atExit(() => child.kill("SIGKILL")));
  }

  get pid(): number {
    return this.#child.pid;
  }

  #hear(key: string): void {
    const atMs = performance.now();
    this.#seen.get(key)?.(atMs);
    this.#seen.delete(key);
  }

  /** When the document's nonce was this, as the process saw it. */
  sees(url: string, nonce: string): Promise<number> {
    return new Promise((resolve) => this.#seen.set(url + nonce, resolve));
  }

  async ask(command: Command, limitMs: number): Promise<Reply> {
    this.#next += 1;
    const number = this.#next;
    const reply = new Promise<Reply>((resolve) => this.#replies.set(number, resolve));
    this.#child.send({ number, command });
    const late = Bun.sleep(limitMs + COMMAND_SLACK_MS).then((): Reply => {
      return { kind: "failed", number, reason: `no answer in ${limitMs / 1000} s` };
    });
    const gone = this.#child.exited.then((): Reply => {
      return { kind: "failed", number, reason: "the process ended" };
    });
    const answer = await Promise.race([reply, late, gone]);
    this.#replies.delete(number);
    return answer;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

interface World {
  readonly folder: string;
  readonly forgetFolder: () => void;
  readonly port: number;
  readonly server: RepoProcess;
  readonly writer: RepoProcess;
  readonly reader: RepoProcess;
}

async function openWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "peat-bench-repo-"));
  const forgetFolder = atExit(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freeTcpPort();
  const server = new RepoProcess("automerge-repo-server.ts", port, join(folder, "server"));
  await server.ready;
  const client = (name: string): RepoProcess =>
    new RepoProcess("automerge-repo-client.ts", port, join(folder, name));
  const writer = client("writer");
  const reader = client("reader");
  await Promise.all([writer.ready, reader.ready]);
  return { folder, forgetFolder, port, server, writer, reader };
}

function failureOf(reply: Reply): string {
  return reply.kind === "failed" ? reply.reason : `unexpected answer ${reply.kind}`;
}

async function create(world: World, plan: Plan, count: number, lanes: number) {
  const documents = Array.from({ length: count }, (_, index) => positionReport(index));
  const reply = await world.writer.ask({ kind: "create", documents, lanes }, plan.limitMs);
  if (reply.kind !== "created") throw new Error(failureOf(reply));
  return { urls: reply.urls, perSecond: (count * 1000) / reply.ms };
}

/** ms from the command to write until the reader, behind the server, has the value; or why not. */
async function visible(world: World, plan: Plan, url: string): Promise<number[] | string> {
  const watching = await world.reader.ask({ kind: "watch", url }, plan.limitMs);
  if (watching.kind !== "done") return failureOf(watching);
  const results: number[] = [];
  for (let write = 0; write < plan.singleWrites; write += 1) {
    const nonce = `${write}-${Math.random().toString(36).slice(2)}`;
    const seen = world.reader.sees(url, nonce);
    const sentMs = performance.now();
    const written = world.writer.ask({ kind: "write", url, nonce }, plan.limitMs);
    const late = Bun.sleep(plan.limitMs).then(() => undefined);
    const atMs = await Promise.race([seen, late]);
    if (atMs === undefined) return `not visible within ${plan.limitMs / 1000} s`;
    await written;
    results.push(atMs - sentMs);
    await Bun.sleep(PAUSE_MS);
  }
  return results;
}

async function benchVisibleThere(
  world: World,
  plan: Plan,
  report: Report,
  url: string,
): Promise<void> {
  const results = await rounds(plan, () => visible(world, plan, url));
  const failure = results.find((r) => typeof r === "string");
  if (failure !== undefined) {
    report.note("write to visible on the other client", failure);
    return;
  }
  const measured = results.filter((r) => typeof r !== "string");
  for (const percent of [50, 99]) {
    report.add(
      `write to visible on the other client, p${percent}`,
      measured.map((ms) => percentile(ms, percent)),
      "ms",
    );
  }
}

async function benchCatchUpThere(
  world: World,
  plan: Plan,
  report: Report,
  urls: readonly string[],
): Promise<void> {
  const { limitMs } = plan;
  const fetchAll: Command = { kind: "fetch", urls, lanes: MANY_CLIENTS, limitMs };
  // The writer's documents reach the server behind its back; the newcomer's time begins when they are there.
  const there = await world.server.ask(fetchAll, limitMs);
  if (there.kind !== "fetched") throw new Error(failureOf(there));
  if (there.arrived < urls.length) {
    report.note("documents on the server", `${there.arrived} after ${limitMs / 1000} s`);
  }
  const newcomer = new RepoProcess(
    "automerge-repo-client.ts",
    world.port,
    join(world.folder, "newcomer"),
  );
  try {
    await newcomer.ready;
    const { limitMs } = plan;
    const reply = await newcomer.ask(
      { kind: "fetch", urls, lanes: MANY_CLIENTS, limitMs },
      limitMs,
    );
    const name = `cold catch-up of ${urls.length} documents`;
    if (reply.kind !== "fetched") report.note(name, failureOf(reply));
    else if (reply.arrived < urls.length) {
      report.note(name, `not finished after ${limitMs / 1000} s: ${reply.arrived} had arrived`);
    } else report.add(name, [(urls.length * 1000) / reply.ms], "documents/s");
    report.add("resident memory of the newcomer", [residentMb(newcomer.pid)], "MB");
  } finally {
    await newcomer.stop();
  }
}

export async function benchAutomergeRepo(plan: Plan, report: Report): Promise<void> {
  report.begin("automerge-repo 2.5.6: websocket server, two clients, file storage each");
  const world = await openWorld();
  try {
    const one = await rounds(plan, () => create(world, plan, plan.oneClientWrites, 1));
    report.add(
      "new documents, one at a time (written, not synced to disk)",
      one.map((r) => r.perSecond),
      "writes/s",
    );
    const first = one[0]?.urls[0];
    if (first !== undefined) await benchVisibleThere(world, plan, report, first);
    // Once only: what it creates here is what the newcomer fetches.
    const many = await create(world, plan, plan.documents, MANY_CLIENTS);
    report.add(`new documents, ${MANY_CLIENTS} at a time`, [many.perSecond], "writes/s");
    await benchCatchUpThere(world, plan, report, many.urls);
    report.add("resident memory of the server", [residentMb(world.server.pid)], "MB");
    report.add("resident memory of the writer", [residentMb(world.writer.pid)], "MB");
  } catch (reason) {
    // The other system's trouble is a result of this measurement, not the end of the bench.
    report.note("gave up", reason instanceof Error ? reason.message : String(reason));
  } finally {
    await Promise.all([world.server, world.writer, world.reader].map((p) => p.stop()));
    await rm(world.folder, { recursive: true, force: true });
    world.forgetFolder();
  }
}
