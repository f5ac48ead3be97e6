// Text to a file descriptor: in order, whole, without ever blocking the event loop.
// process.stdout of Bun 1.4 forgets what a full pipe did not take when the process exits, although
// the write's callback has been called; hence this queue over fs.write.
import { write } from "node:fs";
import { isatty } from "node:tty";
import type { Output } from "./context.ts";

/** A pipe that somebody made non-blocking is full: how long until the next try. */
const RETRY_MS = 10;

export interface TerminalSize {
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** A terminal that was never told its size says 0. */
const positive = (cells: number | undefined) => (cells === 0 ? undefined : cells);

export class DescriptorOutput implements Output {
  readonly isTerminal: boolean;
  readonly #descriptor: number;
  readonly #size: () => TerminalSize;
  #queue: string[] = [];
  #pendingBytes = 0;
  #isWriting = false;
  readonly #closing = new AbortController();
  /** A reader that has gone is no reason to fail, and a daemon outlives its log's reader. */
  readonly closed = this.#closing.signal;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];

  /** `size` tells the size of the terminal, if it is one. */
  constructor(descriptor: number, size: () => TerminalSize = () => ({})) {
    this.#descriptor = descriptor;
    this.#size = size;
    this.isTerminal = isatty(descriptor);
  }

  get columns(): number | undefined {
    return this.isTerminal ? positive(this.#size().columns) : undefined;
  }

  get rows(): number | undefined {
    return this.isTerminal ? positive(this.#size().rows) : undefined;
  }

  /** Why it takes nothing more, unless that is only that its reader has gone. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  write(text: string): void {
    if (this.closed.aborted || text === "") return;
    this.#queue.push(text);
    this.#pendingBytes += text.length;
    this.#pump();
  }

  /** Resolves when everything written before has left the process, or nobody will ever take it. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isWriting) return;
    if (this.#queue.length === 0) {
      for (const resolve of this.#waiting.splice(0)) resolve();
      return;
    }
    const bytes = Buffer.from(this.#queue.join(""));
    this.#queue = [];
    this.#pendingBytes = bytes.length;
    this.#isWriting = true;
    this.#writeFrom(bytes);
  }

  #writeFrom(bytes: Buffer): void {
    write(this.#descriptor, bytes, 0, bytes.length, null, (error, count) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#writeFrom(bytes), RETRY_MS);
      } else if (error !== null) {
        if (error.code !== "EPIPE") this.#failure = error;
        this.#closing.abort();
        this.#queue = [];
        this.#end(this.#pendingBytes);
      } else if (count < bytes.length) {
        this.#pendingBytes -= count;
        this.#writeFrom(bytes.subarray(count));
      } else this.#end(count);
    });
  }

  #end(count: number): void {
    this.#isWriting = false;
    this.#pendingBytes -= count;
    this.#pump();
  }
}
