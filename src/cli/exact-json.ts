// JSON read and printed for people without touching a number: 5.0 stays 5.0, and what is beyond 2^53 stays exact.
import { Fault } from "../base/faults.ts";
import type { Paint } from "./style.ts";
import { safeJson } from "./terminal-text.ts";

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/** Not in TypeScript's library yet (TC39, JSON.parse source text access). */
const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };

const keepNumbers: Reviver = (_key, value, { source }) =>
  typeof value === "number" && source !== undefined && String(value) !== source
    ? rawJSON(source)
    : value;

/** Numbers that JavaScript would print otherwise are opaque in it. Fault `wire_invalid` for what is no JSON. */
export function parseExact(text: string, { from }: { from: string }): unknown {
  try {
    return JSON.parse(text, keepNumbers as Parameters<typeof JSON.parse>[1]);
  } catch (cause) {
    throw new Fault("wire_invalid", `${from} is not JSON`, {}, cause);
  }
}

/** Safe for a terminal; with `indent`, over several lines. */
export function printExact(value: unknown, { indent }: { indent?: number } = {}): string {
  return safeJson(JSON.stringify(value, undefined, indent) ?? "null");
}

const TOKEN =
  /(?<name>"(?:[^"\\]|\\.)*")(?=: )|(?<text>"(?:[^"\\]|\\.)*")|(?<bare>-?\d[\d.eE+-]*|true|false|null)/g;

/** Indented JSON with its names, texts and other values in colours. */
export function paintJson(json: string, paint: Paint): string {
  return json.replace(TOKEN, (found, ...rest) => {
    const { name, text } = rest.at(-1) as { name?: string; text?: string };
    if (name !== undefined) return paint(found, "accent");
    return paint(found, text === undefined ? "warning" : "good");
  });
}
