// Documents as rows of CSV and back, without loss.
//
//   column  names of fields with dots between them; a backslash before each . and \ that is part of a name, and
//           before the first character of a column that a spreadsheet would take for a formula
//   cell    empty: the document has no such field. Else what is JSON is that value, anything else a text.
//           A text that could be taken for JSON is written in JSON's quotes; lists, and objects without fields,
//           as their JSON. So is a text that a spreadsheet would take for a formula: it begins with = + - @.
import { Fault } from "../../base/faults.ts";

export const ID_COLUMN = "_id";
export const COLLECTION_COLUMN = "_collection";

const FORMULA = /^[=+\-@\t\r]/;

/** Field names, from the root on; never empty. */
export type ColumnPath = readonly string[];

export function printColumn(path: ColumnPath): string {
  const text = path.map((name) => name.replaceAll(/[.\\]/g, "\\$&")).join(".");
  return FORMULA.test(text) ? `\\${text}` : text;
}

/** Every text is the name of a column. */
export function parseColumn(text: string): ColumnPath {
  const path = [""];
  for (const [part] of text.matchAll(/^\\[=+\-@\t\r]|\\[.\\]|./gs)) {
    if (part === ".") path.push("");
    else path.push(`${path.pop() ?? ""}${part.length === 2 ? part[1] : part}`);
  }
  return path;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function printText(text: string): string {
  return text === "" || FORMULA.test(text) || isJson(text) ? JSON.stringify(text) : text;
}

/** Of an id, which is always a text: only what begins with a quote, or as a formula, is in quotes. */
export function printId(id: string): string {
  return id.startsWith('"') || FORMULA.test(id) ? JSON.stringify(id) : id;
}

export function parseId(cell: string): string {
  if (!cell.startsWith('"') || !isJson(cell)) return cell;
  return String(JSON.parse(cell));
}

/** A cell as RFC 4180 has it between commas. */
function quoteCell(cell: string): string {
  return /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

export function printRow(cells: readonly string[]): string {
  const row = cells.map(quoteCell).join(",");
  // A line with nothing on it is none: readers pass over it.
  return `${row === "" ? '""' : row}\r\n`;
}

type Fields = Readonly<Record<string, unknown>>;

/** Numbers that JavaScript can't hold are objects, too (TC39, JSON.parse source text access). */
const { isRawJSON } = JSON as typeof JSON & { isRawJSON(value: unknown): boolean };

function isBranch(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !isRawJSON(value) && Object.keys(value).length > 0;
}

/** Each field that is no object with fields, by its column. */
export function flatten(document: Fields): Map<string, string> {
  const cells = new Map<string, string>();
  const add = (fields: Fields, prefix: ColumnPath): void => {
    for (const [name, value] of Object.entries(fields)) {
      const path = [...prefix, name];
      if (isBranch(value)) add(value, path);
      else {
        const cell = typeof value === "string" ? printText(value) : JSON.stringify(value);
        cells.set(printColumn(path), cell);
      }
    }
  };
  add(document, []);
  return cells;
}

/** An object on its way: texts of JSON by name, or further objects. */
type Tree = Map<string, Tree | string>;

function printTree(tree: Tree): string {
  const fields = [...tree].map(([name, value]) => {
    return `${JSON.stringify(name)}:${typeof value === "string" ? value : printTree(value)}`;
  });
  return `{${fields.join(",")}}`;
}

function put(tree: Tree, path: ColumnPath, json: string): void {
  let at = tree;
  for (const [depth, name] of path.entries()) {
    const there = at.get(name);
    const isLast = depth === path.length - 1;
    if (there === undefined && isLast) at.set(name, json);
    else if (isLast || typeof there === "string") {
      const column = printColumn(path);
      const sentence = `the column ${column} and another one exclude each other in this row`;
      throw new Fault("invalid_argument", sentence);
    } else {
      const next: Tree = there ?? new Map();
      at.set(name, next);
      at = next;
    }
  }
}

export interface RowOptions {
  readonly columns: readonly ColumnPath[];
  readonly cells: readonly string[];
  /** Every cell is a text, whatever it looks like. */
  readonly isText: boolean;
}

/** The document's JSON, with the id where its column is `_id`. Fault `invalid_argument` for cells that exclude each other. */
export function parseRow({ columns, cells, isText }: RowOptions): string {
  const tree: Tree = new Map();
  for (const [index, path] of columns.entries()) {
    const cell = cells[index] ?? "";
    if (cell === "") continue;
    const isId = path.length === 1 && (path[0] === ID_COLUMN || path[0] === COLLECTION_COLUMN);
    if (isId) put(tree, path, JSON.stringify(parseId(cell)));
    else put(tree, path, !isText && isJson(cell) ? cell : JSON.stringify(cell));
  }
  return printTree(tree);
}
