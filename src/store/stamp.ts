// The order of writes: a hybrid clock's number, and the process start that issued it.
import { toHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";

declare const brand: unique symbol;

/** Random id of one process start, 32 hex digits; also the Automerge actor of that start. */
export type StartId = string & { readonly [brand]: "StartId" };

export interface Stamp {
  /** About ms since the Unix epoch times 1024; below 2^53 until the year 2248. */
  readonly n: number;
  readonly start: StartId;
}

export const NO_START = "0".repeat(32) as StartId;
/** Below every stamp that is ever issued. */
export const ZERO_STAMP: Stamp = { n: 0, start: NO_START };

/** A fresh random id: a copied data directory never continues another process's actor. */
export function newStartId(random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): StartId {
  return toHex(random(new Uint8Array(16))) as StartId;
}

export function toStartId(bytes: Uint8Array): StartId {
  return toHex(bytes) as StartId;
}

export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.n !== b.n) return a.n < b.n ? -1 : 1;
  if (a.start === b.start) return 0;
  return a.start < b.start ? -1 : 1;
}

/** Issues stamps that grow within this start, follow the clock, and exceed what the document has seen. */
export class Stamper {
  readonly start: StartId;
  readonly #clock: Clock;
  #last = 0;

  constructor(clock: Clock, start: StartId) {
    this.#clock = clock;
    this.start = start;
  }

  /** `seen` is the highest number in the document that is written to. */
  next(seen: number): Stamp {
    this.#last = Math.max(this.#clock.now() * 1024, this.#last + 1, seen + 1);
    return { n: this.#last, start: this.start };
  }

  nowMs(): number {
    return this.#clock.now();
  }
}
