// One seeded history of a small formation that exists only as maps of states: nodes write, delete, revive,
// exchange, are cut off, restart, compact, and have clocks that are minutes apart. No I/O, no real time.
import type { Clock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/faults.ts";
import { newStartId, Stamper } from "../../src/store/stamp.ts";
import { DocumentChecker, type Operation, type Seen } from "./checker.ts";
import { Random } from "./random.ts";
import type { Rules } from "./rules.ts";

const NODES = 4;
const STEPS = 60;
const SKEW_MS_MAX = 5 * 60_000;
/** `tracks` keep their latest state, `notes` their history. */
const KEYS = ["tracks:1", "tracks:2", "notes:1"];
const FIELDS = ["a", "b", "c", "d"];

interface Node<S> {
  readonly index: number;
  readonly skewMs: number;
  readonly states: Map<string, S>;
  stamper: Stamper;
  /** Nodes of unequal groups can't reach each other. */
  group: number;
}

export interface Verdict {
  readonly seed: number;
  readonly complaints: readonly string[];
  readonly writes: number;
}

class World<S> {
  readonly #rules: Rules<S>;
  readonly #random: Random;
  readonly #nodes: Node<S>[];
  readonly #checkers = new Map<string, DocumentChecker>();
  #nowMs = 1_800_000_000_000;
  #values = 0;

  constructor(rules: Rules<S>, seed: number) {
    this.#rules = rules;
    this.#random = new Random(seed);
    this.#nodes = Array.from({ length: NODES }, (_, index) => {
      const skewMs = this.#random.below(2 * SKEW_MS_MAX) - SKEW_MS_MAX;
      return { index, skewMs, states: new Map(), stamper: this.#stamper(skewMs), group: 0 };
    });
    for (const key of KEYS) {
      const putRule = key.startsWith("tracks") ? "replaced" : "merged";
      this.#checkers.set(key, new DocumentChecker(key, putRule, NODES));
    }
  }

  run(): Omit<Verdict, "seed"> {
    for (let step = 0; step < STEPS; step += 1) this.#step();
    this.#settle();
    const checkers = [...this.#checkers.values()];
    return {
      complaints: checkers.flatMap((checker) => checker.complaints),
      writes: checkers.reduce((sum, checker) => sum + checker.writeCount, 0),
    };
  }

  #step(): void {
    const random = this.#random;
    const node = random.pick(this.#nodes);
    const key = random.pick(KEYS);
    this.#nowMs += random.below(random.chance(10) ? 60_000 : 40);
    const dice = random.below(100);
    if (dice < 22) this.#write(node, key, { kind: "patch", body: this.#patchBody() });
    else if (dice < 34) this.#write(node, key, { kind: "put", body: this.#putBody() });
    else if (dice < 42) this.#delete(node, key);
    else if (dice < 80) this.#exchange(node, random.pick(this.#nodes), key);
    else if (dice < 86) this.#repartition();
    else if (dice < 91) this.#restart(node);
    else this.#compact(node, key);
  }

  #stamper(skewMs: number): Stamper {
    const now = () => this.#nowMs + skewMs;
    const clock: Clock = {
      now,
      monotonic: now,
      after: () => () => undefined,
      soon: () => undefined,
    };
    return new Stamper(clock, newStartId(this.#random.fill));
  }

  /** Mostly values that never were before, so that each names its write; some that were. */
  #value(): number {
    if (this.#values > 0 && this.#random.chance(15)) return this.#random.below(this.#values) + 1;
    this.#values += 1;
    return this.#values;
  }

  #putBody(): Record<string, number> {
    const chosen = FIELDS.filter(() => this.#random.chance(60));
    return Object.fromEntries(chosen.map((name) => [name, this.#value()]));
  }

  #patchBody(): Record<string, number | null> {
    const chosen = this.#random.shuffle(FIELDS).slice(0, 1 + this.#random.below(2));
    return Object.fromEntries(
      chosen.map((name) => [name, this.#random.chance(25) ? null : this.#value()]),
    );
  }

  #shown(node: Node<S>, key: string): Seen {
    const state = node.states.get(key);
    const json = state === undefined ? undefined : this.#rules.json(state);
    return json === undefined ? undefined : (JSON.parse(json) as Seen);
  }

  #write(node: Node<S>, key: string, operation: Exclude<Operation, { kind: "delete" }>): void {
    const before = this.#shown(node, key);
    const content = { kind: operation.kind, body: JSON.stringify(operation.body) };
    const collection = key.slice(0, key.indexOf(":"));
    const state = this.#rules.write(node.states.get(key), collection, content, node.stamper);
    if (state !== undefined) node.states.set(key, state);
    this.#checkers.get(key)?.acknowledged(node.index, operation, before, this.#shown(node, key));
  }

  #delete(node: Node<S>, key: string): void {
    const before = this.#shown(node, key);
    const state = node.states.get(key);
    if (before === undefined || state === undefined) return;
    node.states.set(key, this.#rules.remove(state, `node-${node.index}`, node.stamper));
    const operation = { kind: "delete" } as const;
    this.#checkers.get(key)?.acknowledged(node.index, operation, before, this.#shown(node, key));
  }

  #exchange(a: Node<S>, b: Node<S>, key: string): void {
    if (a === b || a.group !== b.group) return;
    this.#send(a, b, key);
    // The answer of the other side is lost now and then.
    if (this.#random.chance(80)) this.#send(b, a, key);
  }

  #send(from: Node<S>, to: Node<S>, key: string): void {
    const state = from.states.get(key);
    if (state !== undefined) {
      const known = to.states.get(key);
      const sent = this.#rules.reencode(this.#rules.toSend(state, known));
      to.states.set(key, known === undefined ? sent : this.#rules.join(known, sent));
    }
    this.#checkers.get(key)?.delivered(from.index, to.index);
  }

  #repartition(): void {
    const isHealed = this.#random.chance(40);
    for (const node of this.#nodes) node.group = isHealed ? 0 : this.#random.below(2);
  }

  #restart(node: Node<S>): void {
    for (const [key, state] of node.states) {
      const again = this.#rules.reencode(state);
      this.#rewritten("restart", key, state, again);
      node.states.set(key, again);
    }
    node.stamper = this.#stamper(node.skewMs);
  }

  #compact(node: Node<S>, key: string): void {
    const state = node.states.get(key);
    if (state === undefined) return;
    const compacted = this.#rules.compact(state);
    if (compacted === undefined) {
      node.states.delete(key);
      return;
    }
    this.#rewritten("compaction", key, state, compacted);
    node.states.set(key, compacted);
  }

  #rewritten(what: string, key: string, before: S, after: S): void {
    this.#checkers.get(key)?.rewritten(what, this.#rules.hash(before), this.#rules.hash(after));
  }

  /** All to the first, then the first to all. */
  #settle(): void {
    const [first, ...others] = this.#random.shuffle(this.#nodes);
    if (first === undefined) return;
    for (const key of KEYS) {
      for (const other of others) this.#send(other, first, key);
      for (const other of this.#random.shuffle(others)) this.#send(first, other, key);
      this.#checkers.get(key)?.settled(
        this.#nodes.map((node) => {
          const state = node.states.get(key);
          const hash = state === undefined ? "" : this.#rules.hash(state);
          return { document: this.#shown(node, key), hash };
        }),
      );
    }
  }
}

/** One history; the same seed and rules give the same verdict. */
function runHistory<S>(rules: Rules<S>, seed: number): Verdict {
  try {
    return { seed, ...new World(rules, seed).run() };
  } catch (error) {
    // Members send each other nothing that may be refused.
    if (!(error instanceof Fault)) throw error;
    return { seed, complaints: [`refused: ${error.message}`], writes: 0 };
  }
}

export interface RunSummary {
  readonly rules: string;
  readonly histories: number;
  readonly writes: number;
  readonly failed: readonly Verdict[];
  readonly failedCount: number;
}

const FAILED_KEPT_MAX = 20;

/** The first history from seed 1 on that is judged wrong, if there is one among `count`. */
export function findFailure<S>(rules: Rules<S>, count: number): Verdict | undefined {
  for (let seed = 1; seed <= count; seed += 1) {
    const verdict = runHistory(rules, seed);
    if (verdict.complaints.length > 0) return verdict;
  }
  return undefined;
}

/** Histories with seeds from `firstSeed` on. */
export function runHistories<S>(
  rules: Rules<S>,
  range: { readonly firstSeed: number; readonly count: number },
): RunSummary {
  const failed: Verdict[] = [];
  let failedCount = 0;
  let writes = 0;
  for (let i = 0; i < range.count; i += 1) {
    const verdict = runHistory(rules, range.firstSeed + i);
    writes += verdict.writes;
    if (verdict.complaints.length === 0) continue;
    failedCount += 1;
    if (failed.length < FAILED_KEPT_MAX) failed.push(verdict);
  }
  return { rules: rules.name, histories: range.count, writes, failed, failedCount };
}
