// `--watch`: the same view again and again, in place on a terminal, one below the other elsewhere, until Ctrl-C.
import { Fault } from "../base/faults.ts";
import type { OptionRow } from "./arguments.ts";
import type { Call } from "./command.ts";
import { EXIT } from "./context.ts";
import { endOfWatching, pauseUntil } from "./interruption.ts";
import { canDraw } from "./style.ts";
import { cutText } from "./table.ts";
import { safeText } from "./terminal-text.ts";

export const WATCH_OPTION: OptionRow = {
  name: "watch",
  short: "w",
  help: "Show it again every second, until Ctrl-C.",
};

const PAUSE_MS = 1000;
const HOME = "\u001b[H";
const CLEAR_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const CLEAR_ALL = "\u001b[2J\u001b[H";

/** No line more than the terminal has: what scrolls away can't be written over. */
function fitted(text: string, rows: number | undefined): readonly string[] {
  const lines = text.replace(/\n$/, "").split("\n");
  if (rows === undefined || lines.length < rows) return lines;
  const shown = lines.slice(0, Math.max(1, rows - 2));
  return [...shown, `… ${lines.length - shown.length} more lines`];
}

export interface View {
  look(): Promise<string>;
  /** Lines for a program are never drawn over each other. */
  readonly isText: boolean;
}

/** A node that was there and does not answer may come back. */
async function lookAgain({ look }: View): Promise<string> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "not_ready") throw error;
    return `${safeText(error.message)}; trying again\n`;
  }
}

/** Draws the view until a stop signal. The first look fails as a command would. */
export async function refresh(call: Call, view: View): Promise<number> {
  const { stdout } = call.context;
  const isInPlace = view.isText && canDraw(stdout, call.context);
  const signal = endOfWatching(call.context);
  // A node that is asked and says nothing must not keep anybody who wants to stop.
  const stopped = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  let isFirst = true;
  while (!signal.aborted) {
    const isStrict = isFirst || !view.isText;
    const text = await Promise.race([isStrict ? view.look() : lookAgain(view), stopped]);
    if (text === undefined) break;
    if (isInPlace) {
      const width = stdout.columns;
      const lines = fitted(text, stdout.rows)
        .map((line) => `${width === undefined ? line : cutText(line, width)}${CLEAR_LINE_END}\n`)
        .join("");
      stdout.write(`${isFirst ? CLEAR_ALL : HOME}${lines}${CLEAR_BELOW}`);
    } else stdout.write(text);
    isFirst = false;
    await pauseUntil(signal, PAUSE_MS);
  }
  return EXIT.ok;
}
