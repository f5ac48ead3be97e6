// Ends what nobody uses: a stream on which neither a read nor a write comes to its end for a time.
import type { CancelTimer, Clock } from "../base/clock.ts";
import type { ByteStream } from "../net/link.ts";

export class Idle {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #give: () => void;
  #usedAt: number;
  #cancel: CancelTimer;

  constructor(clock: Clock, limitMs: number, give: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#give = give;
    this.#usedAt = clock.monotonic();
    this.#cancel = this.#wait();
  }

  /** The same stream, watched. */
  watch(stream: ByteStream): ByteStream {
    return {
      read: async (bytesMax) => this.#used(await stream.read(bytesMax)),
      write: async (bytes) => this.#used(await stream.write(bytes)),
      finish: () => stream.finish(),
      stop: (code) => stream.stop(code),
    };
  }

  end(): void {
    this.#cancel();
  }

  #used<T>(result: T): T {
    this.#usedAt = this.#clock.monotonic();
    return result;
  }

  #wait(): CancelTimer {
    return this.#clock.after(this.#limitMs / 2, () => {
      if (this.#clock.monotonic() - this.#usedAt >= this.#limitMs) this.#give();
      else this.#cancel = this.#wait();
    });
  }
}
