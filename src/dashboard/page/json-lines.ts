// A document as lines of JSON, each with the path of its value, so that what has changed between two versions is known
// line by line. Pure.

/** A number as it was written: 5.0, and integers beyond 2^53. */
class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export interface Line {
  readonly path: string;
  readonly depth: number;
  /** Of a field; undefined in a list. */
  readonly name: string | undefined;
  readonly value: string;
  readonly kind: "text" | "number" | "word" | "open" | "close";
}

export const LINES_MAX = 2_000;
const TEXT_CHARS_MAX = 2_000;

/** JSON whose numbers keep their source, where the browser tells it. */
export function parseExact(text: string): unknown {
  const revive = (_: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" ? new NumberText(context?.source ?? String(value)) : value;
  return JSON.parse(text, revive);
}

function scalarLine(value: unknown): Pick<Line, "value" | "kind"> {
  if (value instanceof NumberText) return { value: value.text, kind: "number" };
  if (typeof value !== "string") return { value: String(value), kind: "word" };
  const left = value.length - TEXT_CHARS_MAX;
  const shown = left > 0 ? `${value.slice(0, TEXT_CHARS_MAX)}… (${left} more)` : value;
  return { value: JSON.stringify(shown.toWellFormed()), kind: "text" };
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof NumberText);
}

function* walk(
  value: unknown,
  at: { path: string; depth: number; name: string | undefined },
): Generator<Line> {
  if (!isContainer(value)) {
    yield { ...at, ...scalarLine(value) };
    return;
  }
  const isList = Array.isArray(value);
  const [open, close] = isList ? ["[", "]"] : ["{", "}"];
  const entries = Object.entries(value);
  if (entries.length === 0) {
    yield { ...at, value: `${open}${close}`, kind: "word" };
    return;
  }
  yield { ...at, value: open ?? "", kind: "open" };
  for (const [key, item] of entries) {
    const path = isList
      ? `${at.path}[${key}]`
      : `${at.path}.${key.replaceAll(/[.[\]$\\]/g, "\\$&")}`;
    yield* walk(item, { path, depth: at.depth + 1, name: isList ? undefined : key });
  }
  yield {
    path: `${at.path}$`,
    depth: at.depth,
    name: undefined,
    value: close ?? "",
    kind: "close",
  };
}

/** At most LINES_MAX of them, and how many fields were left out is not counted: `isWhole` says whether any were. */
export function toLines(value: unknown): { lines: readonly Line[]; isWhole: boolean } {
  const lines: Line[] = [];
  for (const line of walk(value, { path: "", depth: 0, name: undefined })) {
    if (lines.length === LINES_MAX) return { lines, isWhole: false };
    lines.push(line);
  }
  return { lines, isWhole: true };
}

/** Paths of the lines that are new or another than before. */
export function changedPaths(before: readonly Line[], after: readonly Line[]): ReadonlySet<string> {
  const known = new Map(before.map(({ path, value }) => [path, value]));
  return new Set(after.filter(({ path, value }) => known.get(path) !== value).map((l) => l.path));
}
