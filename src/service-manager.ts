// What the service manager hears: that the node is ready when it is, one line of status, that it stops, and signs of
// life that come from the loop that commits documents, so that a node that does no more work is restarted.
import type { Clock } from "./base/clock.ts";
import type { Notifier } from "./base/notify-socket.ts";
import type { ReadinessCheck } from "./broker/node-view.ts";

/** What is told of; NodeStatus and Store are such. */
export interface Watched {
  readiness(): readonly ReadinessCheck[];
  /** One line on how the node is, once it is ready. */
  summary(): string;
  /** Resolves after a turn of the loop that commits documents. */
  turn(): Promise<void>;
}

const LOOK_BEFORE_READY_MS = 50;
const LOOK_MS = 5_000;
/** While it is not ready a start is given another two minutes each minute: what it waits for may take hours. */
const EXTEND_MS = 60_000;
/** Signs of life in one interval of the watchdog: one that is late on a busy machine costs nothing. */
const SIGNS_PER_INTERVAL = 4;

export class ServiceManager {
  readonly #notifier: Notifier;
  readonly #clock: Clock;
  #status = "";
  #isReady = false;
  #isStopping = false;
  #extendAtMs = 0;
  #cancelLook = () => {};
  #cancelSign = () => {};

  constructor(notifier: Notifier, clock: Clock) {
    this.#notifier = notifier;
    this.#clock = clock;
  }

  /** What the start is at, before there is anything to be watched. */
  starting(step: string): void {
    this.#tell(`Starting: ${step}`);
  }

  /** Looks at the node from now on. */
  watch(node: Watched): void {
    this.#extendAtMs = this.#clock.monotonic() + EXTEND_MS;
    this.#look(node);
    if (this.#notifier.watchdogMs !== undefined) {
      this.#giveSigns(node, this.#notifier.watchdogMs / SIGNS_PER_INTERVAL);
    }
  }

  /** Tells that settings are read again, and when `take` has come to its end. */
  async reloading(take: () => Promise<void>): Promise<void> {
    if (!this.#isReady) return await take();
    const nowUs = this.#notifier.monotonicUs();
    const time = nowUs === undefined ? [] : [`MONOTONIC_USEC=${nowUs}`];
    this.#notifier.send(["RELOADING=1", ...time]);
    try {
      await take();
    } finally {
      if (!this.#isStopping) this.#notifier.send(["READY=1"]);
    }
  }

  stopping(): void {
    this.#isStopping = true;
    this.#cancelLook();
    this.#cancelSign();
    this.#notifier.send(["STOPPING=1", "STATUS=Stopping"]);
  }

  #look(node: Watched): void {
    const waiting = node.readiness().find((check) => !check.ready);
    if (waiting === undefined && !this.#isReady) {
      this.#isReady = true;
      this.#status = node.summary();
      this.#notifier.send(["READY=1", `STATUS=${this.#status}`]);
    } else this.#tell(waiting === undefined ? node.summary() : `Not ready: ${waiting.message}`);
    if (!this.#isReady && this.#clock.monotonic() >= this.#extendAtMs) {
      this.#extendAtMs += EXTEND_MS;
      this.#notifier.send([`EXTEND_TIMEOUT_USEC=${2 * EXTEND_MS * 1000}`]);
    }
    const pauseMs = this.#isReady ? LOOK_MS : LOOK_BEFORE_READY_MS;
    this.#cancelLook = this.#clock.after(pauseMs, () => this.#look(node));
  }

  #tell(status: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#notifier.send([`STATUS=${status}`]);
  }

  /** The next sign is due only after the turn that the last one asked for: without turns there are no signs. */
  #giveSigns(node: Watched, everyMs: number): void {
    const sign = () => {
      void node.turn().then(() => {
        if (this.#isStopping) return;
        this.#notifier.send(["WATCHDOG=1"]);
        this.#cancelSign = this.#clock.after(everyMs, sign);
      });
    };
    sign();
  }
}
