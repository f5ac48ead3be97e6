// A worker of scripts/fuzz.ts: runs ranges of inputs, and leaves the index of the present one where its parent sees it.

import { type FuzzResult, fuzz } from "./target.ts";
import { findTarget } from "./targets.ts";

export interface Job {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  /** One number: the index of the input under way. */
  readonly progress: SharedArrayBuffer;
}

/** What went wrong outside of any input, or a result. */
export type Report = { readonly result: FuzzResult } | { readonly accident: string };

declare const self: Worker;

self.addEventListener("message", async ({ data }: MessageEvent<Job>) => {
  const { target, seed, from, count, progress } = data;
  const present = new Uint32Array(progress);
  try {
    const onInput = (index: number): void => {
      present[0] = index;
    };
    const result = await fuzz(findTarget(target), { seed, from, count, onInput });
    self.postMessage({ result } satisfies Report);
  } catch (error) {
    self.postMessage({ accident: Bun.inspect(error) } satisfies Report);
  }
});
