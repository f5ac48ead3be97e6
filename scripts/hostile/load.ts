// Thousands of hostile connections against a node of the executable, with a good peer's writes going on.
import { join } from "node:path";
import { atExit } from "../support/at-exit.ts";
import { percentile } from "../support/percentiles.ts";
import { measureVisible } from "../support/visible-latency.ts";
import { ATTACKS, COSTLIEST, SILENCE } from "./attacks.ts";
import type { MobOrder, MobReport } from "./mob.ts";
import type { Victim } from "./victim.ts";

const WRITES_AROUND = 300;
const WRITES_PER_TURN = 20;
const PAUSE_MS = 5;
/** Of each kind, before anything is measured. */
const FIRST_STRANGERS = 8;
/** An idle node gives memory back within some seconds. */
const SETTLE_MS = 20_000;
/** Where the machine has no time for that, it is looked at again so many times. */
const SETTLE_LOOKS_MAX = 6;
/** What may stay of an attack. */
export const KEPT_MB_MAX = 10;

export interface Phase {
  readonly attack: string;
  readonly connections: number;
  readonly refused: number;
  readonly seconds: number;
  /** CPU milliseconds of the attacked node per connection, the good peer's writes included. */
  readonly cpuMs: number;
  /** MB of the attacked node at the end. */
  readonly residentMb: number;
  /** Ms from a good peer's write until seen, of those that fell into it. */
  readonly visibleMs: readonly number[];
}

export interface LoadResult {
  readonly connections: number;
  readonly phases: readonly Phase[];
  /** Ms from a good peer's write until the attacked node shows it. */
  readonly visibleMs: Readonly<Record<"before" | "during" | "after", readonly number[]>>;
  /** MB of the attacked node. */
  readonly residentMb: { readonly before: number; readonly most: number; readonly after: number };
  /** What the attacked node logged during it. */
  readonly logLines: readonly string[];
}

export interface LoadOptions {
  readonly victim: Victim;
  readonly connections: number;
  readonly told: (phase: Phase) => void;
}

/** Writes of the friend, seen on the attacked node. */
async function writesSeen(
  { friend, attacked }: Victim,
  writes: number,
): Promise<readonly number[]> {
  const seen = await measureVisible({
    writer: friend.api,
    watched: [attacked.api],
    collection: "tracks",
    writes,
    pauseMs: PAUSE_MS,
  });
  return seen.onAll;
}

/** The process of the attackers. */
class Mob implements Disposable {
  readonly #child: Bun.Subprocess<"ignore", "inherit", "inherit">;
  #report: (report: MobReport) => void = () => undefined;

  constructor() {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dirname, "mob.ts")], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      ipc: (report: MobReport) => this.#report(report),
    });
    const child = this.#child;
    void child.exited.finally(atExit(() => child.kill("SIGKILL")));
  }

  attack(order: MobOrder): Promise<MobReport> {
    const reported = new Promise<MobReport>((resolve) => {
      this.#report = resolve;
    });
    this.#child.send(order);
    const ended = this.#child.exited.then((code) => {
      throw new Error(`the attackers ended by themselves (exit status ${code})`);
    });
    return Promise.race([reported, ended]);
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** The sum is `connections`: silence gets a tenth, the costliest half. */
function plan(connections: number): readonly Omit<MobOrder, "target">[] {
  const others = ATTACKS.map(({ name }) => name).filter((n) => n !== SILENCE && n !== COSTLIEST);
  const silent = Math.floor(connections / 10);
  const each = Math.floor((connections - silent) / 2 / others.length);
  return [
    { attack: SILENCE, connections: silent },
    ...others.map((attack) => ({ attack, connections: each })),
    { attack: COSTLIEST, connections: connections - silent - each * others.length },
  ];
}

async function runPhase(
  mob: Mob,
  victim: Victim,
  order: Omit<MobOrder, "target">,
  visibleMs: readonly number[] = [],
): Promise<Phase> {
  const startedMs = performance.now();
  const cpuBefore = victim.cpuSeconds();
  const { refused } = await mob.attack({ ...order, target: victim.target });
  return {
    ...order,
    refused,
    seconds: (performance.now() - startedMs) / 1000,
    cpuMs: ((victim.cpuSeconds() - cpuBefore) * 1000) / order.connections,
    residentMb: victim.residentMb(),
    visibleMs,
  };
}

export async function runLoad({ victim, connections, told }: LoadOptions): Promise<LoadResult> {
  using mob = new Mob();
  // What any node has once it has worked a little, and once it has met a few strangers, is not the attack's.
  await writesSeen(victim, WRITES_AROUND);
  for (const { name } of ATTACKS) {
    await runPhase(mob, victim, { attack: name, connections: FIRST_STRANGERS });
  }
  const before = await writesSeen(victim, WRITES_AROUND);
  await Bun.sleep(SETTLE_MS);
  const residentBefore = victim.residentMb();
  const linesBefore = victim.logLines().length;

  let most = residentBefore;
  let isOver = false;
  let current: number[] = [];
  const phases: Phase[] = [];
  const attacking = (async () => {
    for (const part of plan(connections)) {
      current = [];
      const phase = await runPhase(mob, victim, part, current);
      phases.push(phase);
      told(phase);
    }
  })().finally(() => {
    isOver = true;
  });
  const during: number[] = [];
  while (!isOver) {
    const phase = current;
    const seen = await writesSeen(victim, WRITES_PER_TURN);
    during.push(...seen);
    phase.push(...seen);
    most = Math.max(most, victim.residentMb());
  }
  await attacking;

  const logLines = victim.logLines().slice(linesBefore);
  const after = await writesSeen(victim, WRITES_AROUND);
  let residentAfter = Infinity;
  const isKept = () => residentAfter - residentBefore >= KEPT_MB_MAX;
  for (let looks = 0; looks < SETTLE_LOOKS_MAX && isKept(); looks += 1) {
    await Bun.sleep(SETTLE_MS);
    residentAfter = victim.residentMb();
  }
  return {
    connections: phases.reduce((sum, phase) => sum + phase.connections, 0),
    phases,
    visibleMs: { before, during, after },
    residentMb: { before: residentBefore, most, after: residentAfter },
    logLines,
  };
}

const ms = (value: number): string => value.toFixed(1).padStart(8);

export function printPhase(phase: Phase): string {
  const { attack, connections, refused, seconds, cpuMs, residentMb, visibleMs } = phase;
  const visible = visibleMs.length === 0 ? "none" : `${percentile(visibleMs, 99).toFixed(1)} ms`;
  const cells = [
    attack.padEnd(38),
    String(connections).padStart(6),
    String(refused).padStart(8),
    `${seconds.toFixed(1)} s`.padStart(9),
    `${cpuMs.toFixed(2)} ms`.padStart(9),
    `${residentMb.toFixed(1)} MB`.padStart(9),
    visible.padStart(11),
  ];
  return cells.join(" ");
}

export const PHASE_HEAD = [
  "attack".padEnd(38),
  "number".padStart(6),
  "refused*".padStart(8),
  "took".padStart(9),
  "CPU each".padStart(9),
  "resident".padStart(9),
  "visible p99".padStart(11),
].join(" ");

export function printResult(result: LoadResult): string {
  const lines = [
    "* at the door, before any hello",
    "",
    "a good peer's write until seen         p50      p99     most     n",
  ];
  for (const when of ["before", "during", "after"] as const) {
    const values = result.visibleMs[when];
    const cells = [percentile(values, 50), percentile(values, 99), Math.max(...values)].map(ms);
    lines.push(`${when.padEnd(33)} ${cells.join(" ")} ${String(values.length).padStart(5)}  ms`);
  }
  const { before, most, after } = result.residentMb;
  lines.push(
    "",
    `resident memory of the attacked node: ${before.toFixed(1)} MB before, ${most.toFixed(1)} MB at most, ${after.toFixed(1)} MB after (${(after - before).toFixed(1)} MB more)`,
    `its log: ${result.logLines.length} lines for ${result.connections} connections; the last:`,
    ...result.logLines.slice(-3).map((line) => `    ${line}`),
  );
  return lines.join("\n");
}
