// Fuzz targets on worker threads, watched from outside: an input that never comes back is a failure, too.

import { type Failure, type FuzzResult, inputOf } from "./target.ts";
import { findTarget } from "./targets.ts";
import type { Job, Report } from "./worker.ts";

/** A job of a worker; small enough that all workers have one to the end. */
const INPUTS_PER_JOB = 1 << 16;
/** Longer than any pause of a busy machine. */
const STUCK_MS = 20_000;
const LOOK_EVERY_MS = 1_000;

export interface FuzzTask {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
}

/** All jobs of one target together; `seconds` are those of its workers. */
export type FuzzTotal = FuzzResult;

function added(a: FuzzResult | undefined, b: FuzzResult): FuzzResult {
  if (a === undefined) return b;
  const codes: Record<string, number> = { ...a.codes };
  for (const [code, count] of Object.entries(b.codes)) codes[code] = (codes[code] ?? 0) + count;
  return {
    target: a.target,
    inputs: a.inputs + b.inputs,
    seconds: a.seconds + b.seconds,
    accepted: a.accepted + b.accepted,
    refused: a.refused + b.refused,
    codes,
    slowestMs: Math.max(a.slowestMs, b.slowestMs),
    failure: a.failure ?? b.failure,
  };
}

function failed(job: Job, index: number, reason: string): FuzzResult {
  const { target, seed, from } = job;
  const { input } = inputOf(findTarget(target).corpus(), seed, index);
  const failure: Failure = { target, seed, index, inputHex: input.toHex(), reason };
  const counts = { inputs: index - from, accepted: 0, refused: 0, seconds: 0, slowestMs: 0 };
  return { target, ...counts, codes: {}, failure };
}

class FuzzWorker {
  #worker = FuzzWorker.#start();

  static #start(): Worker {
    return new Worker(new URL("./worker.ts", import.meta.url).href);
  }

  /** Resolves with the job's result, whatever becomes of the worker. */
  async run(job: Job): Promise<FuzzResult> {
    const present = new Uint32Array(job.progress);
    const worker = this.#worker;
    const ended = Promise.withResolvers<FuzzResult>();
    worker.onmessage = ({ data }: MessageEvent<Report>) => {
      ended.resolve("result" in data ? data.result : failed(job, present[0] ?? 0, data.accident));
    };
    worker.onerror = ({ message }) => {
      ended.resolve(failed(job, present[0] ?? 0, `ended its thread: ${message}`));
    };
    let [seen, seenMs] = [-1, performance.now()];
    const watch = setInterval(() => {
      const now = performance.now();
      if (present[0] !== seen) [seen, seenMs] = [present[0] ?? 0, now];
      else if (now - seenMs > STUCK_MS) {
        ended.resolve(failed(job, seen, `does not come back within ${STUCK_MS / 1000} s`));
      }
    }, LOOK_EVERY_MS);
    worker.postMessage(job);
    const result = await ended.promise;
    clearInterval(watch);
    if (result.failure !== undefined) {
      // Whatever state it is in: the next job has a thread of its own.
      worker.terminate();
      this.#worker = FuzzWorker.#start();
    }
    return result;
  }

  close(): void {
    this.#worker.terminate();
  }
}

export class FuzzPool {
  readonly #workers: readonly FuzzWorker[];

  constructor(workers: number) {
    this.#workers = Array.from({ length: workers }, () => new FuzzWorker());
  }

  /** Runs every task in jobs; `told` has each target's total once it is whole. A failure ends its target. Throws for a target that is not. */
  async run(
    tasks: readonly FuzzTask[],
    told: (total: FuzzTotal) => void = () => undefined,
  ): Promise<FuzzTotal[]> {
    for (const { target } of tasks) findTarget(target);
    const totals = new Map<string, FuzzTotal>();
    const left = new Map<string, number>();
    const jobs = tasks.flatMap((task) => {
      const count = Math.ceil(task.count / INPUTS_PER_JOB);
      left.set(task.target, count);
      return Array.from({ length: count }, (_, i): Job => {
        const from = i * INPUTS_PER_JOB;
        return {
          ...task,
          from: task.from + from,
          count: Math.min(INPUTS_PER_JOB, task.count - from),
          progress: new SharedArrayBuffer(4),
        };
      });
    });
    const work = async (worker: FuzzWorker): Promise<void> => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
        const { target } = job;
        if (totals.get(target)?.failure === undefined) {
          const result = await worker.run(job);
          // Not before: others have added to it meanwhile.
          totals.set(target, added(totals.get(target), result));
        }
        left.set(target, (left.get(target) ?? 1) - 1);
        const total = totals.get(target);
        if (left.get(target) === 0 && total !== undefined) told(total);
      }
    };
    await Promise.all(this.#workers.map(work));
    return [...totals.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) worker.close();
  }
}
