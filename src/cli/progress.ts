// A bar on standard error for long work: on a terminal only, and gone when the work is done.
import type { Context, Output } from "./context.ts";
import { printBytes, printDuration } from "./quantities.ts";
import { canDraw, type Paint, paintFor } from "./style.ts";
import { cutText } from "./table.ts";
import { safeText } from "./terminal-text.ts";

export interface ProgressOptions {
  /** What is done, before the bar. */
  readonly label: string;
  /** In the same unit as what is told; undefined while nobody knows. */
  readonly total?: number | undefined;
  readonly unit?: "bytes" | "count";
  /** Ms of a clock that only goes forward. */
  readonly now?: () => number;
}

/** Not drawn more often, and not at all before: short work has no bar. */
const DRAW_MS = 100;
const BAR_CELLS = 24;
const CLEAR_LINE = "\r\u001b[2K";

const WIDTH_FALLBACK = 80;

/** `part` of 1 as a bar. */
export function printBar(part: number, paint: Paint): string {
  const full = Math.round(part * BAR_CELLS);
  return paint("━".repeat(full), "accent") + paint("─".repeat(BAR_CELLS - full), "dim");
}

export class Progress {
  readonly #output: Output;
  readonly #paint: Paint;
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #startedMs: number;
  readonly #isShown: boolean;
  #drawnMs: number;
  #isDrawn = false;
  #done = 0;
  #total: number | undefined;

  constructor(context: Pick<Context, "stderr" | "environment">, options: ProgressOptions) {
    this.#output = context.stderr;
    this.#options = options;
    this.#paint = paintFor(context.stderr, context);
    this.#now = options.now ?? (() => performance.now());
    this.#startedMs = this.#now();
    this.#drawnMs = this.#startedMs;
    this.#total = options.total;
    this.#isShown = canDraw(context.stderr, context);
  }

  /** So much is done in all; `total` where it is only known now. */
  tell(done: number, total = this.#total): void {
    this.#done = done;
    this.#total = total;
    const nowMs = this.#now();
    if (!this.#isShown || nowMs - this.#drawnMs < DRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#isDrawn = true;
    // The last column stays free: some terminals begin a new line there.
    const width = (this.#output.columns ?? WIDTH_FALLBACK) - 1;
    this.#output.write(`${CLEAR_LINE}${this.#print(nowMs, width)}`);
  }

  /** Takes the bar away, before anything else is written to the terminal. */
  end(): void {
    if (this.#isDrawn) this.#output.write(CLEAR_LINE);
    this.#isDrawn = false;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #print(nowMs: number, width: number): string {
    const { label, unit = "count" } = this.#options;
    const amount = unit === "bytes" ? printBytes : (count: number) => String(Math.round(count));
    const total = this.#total;
    const perMs = this.#done / Math.max(1, nowMs - this.#startedMs);
    const rate = `${amount(perMs * 1000)}/s`;
    const name = safeText(label);
    if (total === undefined || total <= 0) {
      return cutText(`${name}  ${amount(this.#done)}  ${rate}`, width);
    }
    const part = Math.min(1, this.#done / total);
    const left = perMs > 0 ? `, ${printDuration((total - this.#done) / perMs)} left` : "";
    const percent = `${Math.floor(part * 100)}`.padStart(3);
    const text = `${percent} %  ${amount(this.#done)} of ${amount(total)}, ${rate}${part < 1 ? left : ""}`;
    const room = width - Bun.stringWidth(name) - Bun.stringWidth(text) - 4;
    if (room < BAR_CELLS) return cutText(`${name}  ${text}`, width);
    return `${name}  ${printBar(part, this.#paint)}  ${text}`;
  }
}
