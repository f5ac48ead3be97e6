// The thread that reads long histories: started when one is asked for, one history at a time, ended when it is idle or
// late.
import type { CancelTimer, Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { Room } from "../base/room.ts";
import { buildInfo } from "../build-info.ts";
import type { NewestChanges, ReadWish } from "./change-reader.ts";
import type { ReadAnswer } from "./history-worker.ts";

/** Callers beyond these are sent away. */
const WAITING_MAX = 8;
/** A history that takes longer is given up. */
const READ_MS_MAX = 20_000;
/** A page that follows a document asks again soon. */
const IDLE_MS = 10_000;

export class HistoryThread {
  readonly #clock: Clock;
  #worker: Worker | undefined;
  readonly #room = new Room(WAITING_MAX, "histories are being read already");
  #line: Promise<void> = Promise.resolve();
  #cancelIdle: CancelTimer = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Faults: overloaded, request_timeout, wire_invalid, and the reason of the signal. */
  async read(wish: ReadWish, signal: AbortSignal): Promise<NewestChanges> {
    return await this.#room.during(async () => {
      const before = this.#line;
      const { promise, resolve: leave } = Promise.withResolvers<void>();
      this.#line = promise;
      try {
        await before;
        signal.throwIfAborted();
        return await this.#ask(wish, signal);
      } finally {
        leave();
      }
    });
  }

  #ask(wish: ReadWish, signal: AbortSignal): Promise<NewestChanges> {
    const { promise, resolve, reject } = Promise.withResolvers<NewestChanges>();
    this.#cancelIdle();
    this.#worker ??= startWorker();
    const worker = this.#worker;
    const giveUp = (error: unknown) => {
      // Nothing else ends what it is doing.
      this.#end();
      reject(error);
    };
    const late = new Fault("request_timeout", "the history is too long to be read in time");
    const cancelLate = this.#clock.after(READ_MS_MAX, () => giveUp(late));
    const abort = () => giveUp(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    worker.onerror = ({ message }) => giveUp(new Error(`reading a history: ${message}`));
    worker.onmessage = ({ data }: MessageEvent<ReadAnswer>) => {
      if (data.kind === "read") resolve(data.found);
      else reject(new Fault("wire_invalid", data.why));
    };
    worker.postMessage(wish);
    return promise.finally(() => {
      cancelLate();
      signal.removeEventListener("abort", abort);
      this.#cancelIdle = this.#clock.after(IDLE_MS, () => this.#end());
    });
  }

  #end(): void {
    this.#cancelIdle();
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}

function startWorker(): Worker {
  const path = buildInfo.historyWorker ?? "./history-worker.ts";
  const worker = new Worker(new URL(path, import.meta.url).href);
  // It must not keep the process from ending.
  worker.unref();
  return worker;
}
