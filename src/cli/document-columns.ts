// Documents as rows of a table: which of their fields are columns, and how a value looks in a cell.
import type { FieldPath } from "../store/field-path.ts";
import { printExact } from "./exact-json.ts";
import type { Cell } from "./table.ts";

const COLUMNS_MAX = 8;
/** A cell is a glance; the whole value is in the JSON. */
const CELL_CHARS_MAX = 200;

function step(value: unknown, key: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  if (typeof key === "number") return Array.isArray(value) ? value[key] : undefined;
  if (Array.isArray(value) || !Object.hasOwn(value, key)) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}

/** What stands at `path` of a document that parseExact read. */
export function valueIn(document: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>(step, document);
}

/** What stands at `path` of a document: texts without quotes, anything else as JSON; empty where there is nothing. */
export function printField(document: unknown, path: FieldPath): Cell | string {
  const value = valueIn(document, path);
  if (value === undefined) return "";
  if (value === null) return { text: "null", tone: "dim" };
  const text = typeof value === "string" ? value : printExact(value);
  return text.length > CELL_CHARS_MAX ? `${text.slice(0, CELL_CHARS_MAX)}…` : text;
}

/** A name as a path would have it. */
const asPath = (name: string): string => name.replaceAll(/[.[\]\\]/g, (found) => `\\${found}`);

export interface InferredColumns {
  readonly titles: readonly string[];
  readonly paths: readonly FieldPath[];
  /** Fields that have no column. */
  readonly hidden: number;
}

/** The fields of the roots of these documents, those that most of them have first. */
export function inferColumns(documents: readonly unknown[]): InferredColumns {
  const counts = new Map<string, number>();
  for (const document of documents) {
    for (const name of Object.keys(document ?? {})) {
      if (name !== "_id") counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  // Equal counts keep the order of the documents.
  const names = [...counts].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const shown = names.slice(0, COLUMNS_MAX);
  return {
    titles: shown.map(asPath),
    paths: shown.map((name) => [name]),
    hidden: names.length - shown.length,
  };
}
