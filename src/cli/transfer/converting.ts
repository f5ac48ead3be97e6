// Lines of documents made an array or a table.
import { type FileHandle, open } from "node:fs/promises";
import { contentOf } from "../../backup/files.ts";
import { Fault } from "../../base/faults.ts";
import { type Fields, fieldsOf } from "../../base/fields.ts";
import { parseExact } from "../exact-json.ts";
import { COLLECTION_COLUMN, flatten, ID_COLUMN, printId, printRow } from "./csv-cells.ts";
import { lineRecords } from "./json-records.ts";
import type { Format } from "./records.ts";
import { BufferedWriter } from "./spool.ts";

const COLUMNS_MAX = 16_384;
/** In this order, before all others. */
const NAMING = [ID_COLUMN, COLLECTION_COLUMN];

export type Sink = FileHandle | ((bytes: Uint8Array) => Promise<void>);

async function* linesOf(path: string, signal: AbortSignal): AsyncGenerator<string> {
  await using file = await open(path, "r");
  for await (const record of lineRecords(contentOf(file, signal))) {
    if ("problem" in record) {
      throw new Fault("storage_failed", `${path}: line ${record.line} ${record.problem}`);
    }
    yield record.text;
  }
}

function cellsOf(line: string): Map<string, string> {
  const document: Fields = fieldsOf(parseExact(line, { from: "a line of the export" }));
  const cells = flatten(document);
  for (const name of NAMING) {
    const value = document[name];
    if (typeof value === "string") cells.set(name, printId(value));
  }
  return cells;
}

async function columnsOf(path: string, signal: AbortSignal): Promise<string[]> {
  const seen = new Set<string>();
  for await (const line of linesOf(path, signal)) {
    for (const column of cellsOf(line).keys()) seen.add(column);
    if (seen.size > COLUMNS_MAX) {
      const sentence = `more than ${COLUMNS_MAX} columns; export as ndjson or json`;
      throw new Fault("payload_too_large", sentence);
    }
  }
  return [
    ...NAMING.filter((name) => seen.has(name)),
    ...[...seen].filter((n) => !NAMING.includes(n)),
  ];
}

async function writeTable(path: string, writer: BufferedWriter, signal: AbortSignal) {
  const columns = await columnsOf(path, signal);
  if (columns.length === 0) return;
  await writer.write(printRow(columns));
  for await (const line of linesOf(path, signal)) {
    const cells = cellsOf(line);
    await writer.write(printRow(columns.map((column) => cells.get(column) ?? "")));
  }
}

async function writeArray(path: string, writer: BufferedWriter, signal: AbortSignal) {
  let before = "[\n";
  for await (const line of linesOf(path, signal)) {
    await writer.write(`${before}${line}`);
    before = ",\n";
  }
  await writer.write(before === "[\n" ? "[]\n" : "\n]\n");
}

/** Writes the documents of the lines at `path` in another format. */
export async function convertLines(
  {
    path,
    format,
    signal,
  }: { path: string; format: Exclude<Format, "ndjson">; signal: AbortSignal },
  sink: Sink,
): Promise<void> {
  const writer = new BufferedWriter(sink);
  if (format === "csv") await writeTable(path, writer, signal);
  else await writeArray(path, writer, signal);
  await writer.flush();
}
