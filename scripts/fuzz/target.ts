// One thing that takes what others send, and what must hold whatever that is: it is accepted or refused by a Fault,
// within 50 ms, and what was accepted means the same when it is written and read again.
import { Fault, messageOf } from "../../src/base/faults.ts";
import { Random } from "../model/random.ts";
import { type Corpus, makeInput } from "./mutate.ts";

export interface FuzzTarget {
  readonly name: string;
  /** How many of the inputs it gets, against the shares of the others. */
  readonly share: number;
  /** More than the usual time that an input may take, where only a member could send it and it is known to be slow. */
  readonly limitMs?: number;
  corpus(): Corpus;
  /**
   * Ends without a value: accepted. With a text, or by throwing a Fault: refused. By anything else: a failure.
   * `index` counts the inputs; a target with a state begins a new one by it, so that any failure can be run again.
   */
  run(input: Uint8Array, index: number): Outcome | Promise<Outcome>;
}

/** The reason for which an input was refused; undefined when it was accepted. */
export type Outcome = string | undefined;

/** The target broke a promise of its own: a value that is written and read again is another one. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
}

export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly index: number;
  readonly inputHex: string;
  readonly reason: string;
}

export interface FuzzResult {
  readonly target: string;
  readonly inputs: number;
  readonly seconds: number;
  readonly accepted: number;
  readonly refused: number;
  /** Refusals by fault code or reason. */
  readonly codes: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly failure: Failure | undefined;
}

const HANG_MS = 50;
/** A machine that does something else is slow once; an input that hangs is slow each time. */
const RETRIES = 4;

/** The input of that index; equal seeds give equal inputs. */
export function inputOf(corpus: Corpus, seed: number, index: number) {
  return makeInput(new Random(Math.imul(seed, 0x9e3779b1) + index), corpus);
}

export interface FuzzRange {
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  /** Told before each input: whoever watches knows which one never came back. */
  readonly onInput: (index: number) => void;
}

async function outcomeOf(target: FuzzTarget, input: Uint8Array, index: number): Promise<Outcome> {
  try {
    return await target.run(input, index);
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

/** Runs one input; only what takes long is awaited, since most targets need no turn of the event loop. */
function runOne(target: FuzzTarget, input: Uint8Array, index: number): Outcome | Promise<Outcome> {
  try {
    const outcome = target.run(input, index);
    if (!(outcome instanceof Promise)) return outcome;
    return outcome.catch((error: unknown) => {
      if (error instanceof Fault) return error.code;
      throw error;
    });
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

/** The least time of several runs: what the input itself costs. */
async function leastMs(target: FuzzTarget, input: Uint8Array, index: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < RETRIES; i += 1) {
    const startedMs = performance.now();
    await outcomeOf(target, input.slice(), index);
    least = Math.min(least, performance.now() - startedMs);
  }
  return least;
}

/** Runs a range of inputs; ends at the first failure. */
export async function fuzz(target: FuzzTarget, range: FuzzRange): Promise<FuzzResult> {
  const { seed, from, count, onInput } = range;
  const limitMs = target.limitMs ?? HANG_MS;
  const corpus = target.corpus();
  const codes: Record<string, number> = {};
  let [accepted, refused, slowestMs] = [0, 0, 0];
  let failure: Failure | undefined;
  const startedMs = performance.now();
  let index = from;
  for (; index < from + count && failure === undefined; index += 1) {
    onInput(index);
    const { input, isValid } = inputOf(corpus, seed, index);
    const fail = (reason: string): void => {
      failure = { target: target.name, seed, index, inputHex: input.toHex(), reason };
    };
    try {
      const beganMs = performance.now();
      let outcome = runOne(target, input.slice(), index);
      if (outcome instanceof Promise) outcome = await outcome;
      let ms = performance.now() - beganMs;
      if (ms > limitMs) ms = await leastMs(target, input, index);
      if (ms > limitMs) fail(`takes ${ms.toFixed(0)} ms, more than ${limitMs}`);
      slowestMs = Math.max(slowestMs, ms);
      if (outcome === undefined) accepted += 1;
      else {
        refused += 1;
        codes[outcome] = (codes[outcome] ?? 0) + 1;
        if (isValid) fail(`a valid input is refused: ${outcome}`);
      }
    } catch (error) {
      const name = error instanceof Error ? error.name : "a throw";
      fail(`${name}: ${messageOf(error)}`);
    }
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const inputs = index - from;
  return { target: target.name, inputs, seconds, accepted, refused, codes, slowestMs, failure };
}

/** For targets: throws Mismatch unless equal. */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (Bun.deepEquals(actual, expected)) return;
  const show = (value: unknown): string => Bun.inspect(value).slice(0, 200);
  throw new Mismatch(`${what}: ${show(actual)} is not ${show(expected)}`);
}
