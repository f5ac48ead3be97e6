// The newest log lines, kept in memory within so many bytes, for whoever asks the running node what it said.

/** A line as it was printed. */
export interface LogLine {
  /** Ms since the Unix epoch. */
  readonly atMs: number;
  readonly level: string;
  readonly target: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** From the gravest on. */
export const LOG_LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];

export interface LogQuery {
  /** Only lines of greater numbers, oldest first; undefined: the newest ones. */
  readonly after?: number | undefined;
  readonly limit: number;
  /** The least grave that is wanted. */
  readonly level: LogLevelName;
}

export interface LogPage {
  /** Each as JSON, in their order. */
  readonly lines: readonly string[];
  /** What to ask after for the lines that follow. */
  readonly next: number;
  /** Lines, of whatever level, that came after `after` and are no longer kept. */
  readonly dropped: number;
}

interface Kept {
  readonly rank: number;
  readonly text: string;
}

/** What a kept line costs beside its text. */
const LINE_BYTES = 96;

export class LogRing {
  readonly #bytesMax: number;
  /** By number; a Map keeps the order in which they came. */
  readonly #lines = new Map<number, Kept>();
  readonly #first: number;
  #next: number;
  #bytes = 0;

  /**
   * `first` is the number of the first line: greater than any that an earlier process gave, so that a reader who
   * outlives a restart misses nothing.
   */
  constructor(bytesMax: number, first: number) {
    this.#bytesMax = bytesMax;
    this.#first = first;
    this.#next = first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add({ atMs, level, target, message, fields }: LogLine): void {
    const n = this.#next;
    this.#next += 1;
    const text = JSON.stringify({ n, at_ms: atMs, level, target, message, fields });
    this.#lines.set(n, { rank: LOG_LEVELS.indexOf(level as LogLevelName), text });
    this.#bytes += text.length + LINE_BYTES;
    for (const [oldest, line] of this.#lines) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#lines.delete(oldest);
      this.#bytes -= line.text.length + LINE_BYTES;
    }
  }

  read({ after, limit, level }: LogQuery): LogPage {
    const rankMax = LOG_LEVELS.indexOf(level);
    const oldest = this.#next - this.#lines.size;
    // Beyond the newest is a number that this process never gave: of a clock that was set back.
    const isKnown = after !== undefined && after < this.#next;
    const from = Math.max(isKnown ? after + 1 : 0, this.#first);
    const dropped = Math.max(0, oldest - from);
    const wanted: [number, Kept][] = [];
    for (const entry of this.#lines) {
      if (entry[0] >= from && entry[1].rank <= rankMax) wanted.push(entry);
    }
    const page = after === undefined ? wanted.slice(-limit) : wanted.slice(0, limit);
    const isWhole = page.length === wanted.length || after === undefined;
    const next = isWhole ? this.#next - 1 : (page.at(-1)?.[0] ?? this.#next - 1);
    return { lines: page.map(([, { text }]) => text), next, dropped };
  }
}
