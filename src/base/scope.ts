// What was started, stopped in reverse, each with a deadline; and the background loops that must not fail silently.
import { type Clock, within } from "./clock.ts";
import { messageOf } from "./faults.ts";
import { getLog } from "./log.ts";

const log = getLog("peat_mesh::scope");

type Close = () => void | Promise<void>;

interface Entry {
  readonly name: string;
  readonly close: Close;
  readonly deadlineMs: number;
}

/** All steps of a stop together; what is late then gets a moment each. */
const CLOSE_MS_MAX = 1_700;
const LAST_CHANCE_MS = 30;

const TIMED_OUT = Symbol("timed out");

export class Scope {
  readonly #clock: Clock;
  readonly #entries: Entry[] = [];
  readonly #abort = new AbortController();
  #closing: Promise<void> | undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** Rejects with the first failure of a background loop; never resolves. */
  readonly failed: Promise<never>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    // Whoever awaits `failed` sees the reason; nobody awaiting it must not be a crash of its own.
    this.failed.catch(() => undefined);
  }

  /** Aborted at the beginning of close(). */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** `close` runs when the scope closes, after everything deferred later than it. */
  defer(name: string, close: Close, deadlineMs = 500): void {
    this.#entries.push({ name, close, deadlineMs });
  }

  /** Runs a background loop; its failure rejects `failed`. */
  run(name: string, loop: (signal: AbortSignal) => Promise<void>): void {
    const done = loop(this.signal).catch((error: unknown) => {
      if (this.signal.aborted) return;
      log.error("Background loop failed", { loop: name, cause: messageOf(error) });
      this.#fail(error);
    });
    this.defer(name, () => done);
  }

  /** Reports a failure that must end the process, from outside of a loop. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  /** Stops everything in reverse order; no failure or delay of one step skips the next. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.#abort.abort();
    const until = this.#clock.monotonic() + CLOSE_MS_MAX;
    for (const entry of this.#entries.toReversed()) {
      try {
        const leftMs = Math.max(LAST_CHANCE_MS, until - this.#clock.monotonic());
        const work = Promise.resolve(entry.close());
        const result = await within(
          this.#clock,
          Math.min(entry.deadlineMs, leftMs),
          work,
          TIMED_OUT,
        );
        if (result === TIMED_OUT) {
          log.warn("Stop step is late and was left behind", {
            step: entry.name,
            deadline_ms: entry.deadlineMs,
          });
        }
      } catch (error) {
        log.warn("Stop step failed", { step: entry.name, cause: messageOf(error) });
      }
    }
  }
}
