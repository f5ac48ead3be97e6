// Colour on a terminal that wants it; elsewhere text stays as it is.
import type { Context, Output } from "./context.ts";

/** What a text means; the colour follows from it. */
export type Tone = "plain" | "strong" | "dim" | "good" | "warning" | "bad" | "accent";

export type Paint = (text: string, tone: Tone) => string;

/** Parameters of SGR (ECMA-48, section 8.3.117): the first switches on, the second back. */
const CODES: Readonly<Record<Exclude<Tone, "plain">, readonly [string, string]>> = {
  strong: ["1", "22"],
  dim: ["2", "22"],
  good: ["32", "39"],
  warning: ["33", "39"],
  bad: ["31", "39"],
  accent: ["36", "39"],
};

function paint(text: string, tone: Tone): string {
  if (tone === "plain" || text === "") return text;
  const [on, off] = CODES[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

const noPaint: Paint = (text) => text;

/** Whether what is written there may be coloured and drawn anew in its place. */
export function canDraw(
  { isTerminal }: Pick<Output, "isTerminal">,
  { environment }: Pick<Context, "environment">,
): boolean {
  const terminal = environment["TERM"] ?? "";
  return isTerminal && terminal !== "" && terminal !== "dumb";
}

/** Colour only for a terminal that can show it, unless NO_COLOR (no-color.org) or `isPlain` says no. */
export function paintFor(
  output: Output,
  context: Pick<Context, "environment">,
  { isPlain = false }: { isPlain?: boolean } = {},
): Paint {
  const isUnwanted = isPlain || (context.environment["NO_COLOR"] ?? "") !== "";
  return canDraw(output, context) && !isUnwanted ? paint : noPaint;
}
