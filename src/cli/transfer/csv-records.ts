// Rows of CSV as documents; the first one names the columns.
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { Fault } from "../../base/faults.ts";
import { type ColumnPath, parseColumn, parseRow } from "./csv-cells.ts";
import { type FileRecord, RECORD_BYTES_MAX } from "./records.ts";

const COLUMNS_MAX = 16_384;

export interface CsvOptions {
  readonly delimiter: string;
  /** Every cell is a text, whatever it looks like. */
  readonly isText: boolean;
}

/** As the parser gives rows when it is asked for their places. */
interface PlacedRow {
  readonly info: { readonly lines: number };
  readonly record: readonly string[];
}

function readColumns(names: readonly string[]): ColumnPath[] {
  if (names.length > COLUMNS_MAX) {
    throw new Fault("invalid_argument", `the first line names more than ${COLUMNS_MAX} columns`);
  }
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    const shown = JSON.stringify(twice.slice(0, 80));
    throw new Fault("invalid_argument", `the first line names the column ${shown} twice`);
  }
  return names.map(parseColumn);
}

function toRecord(columns: readonly ColumnPath[], row: PlacedRow, isText: boolean): FileRecord {
  const { info, record: cells } = row;
  const line = info.lines;
  if (cells.length > columns.length) {
    const problem = `has ${cells.length} cells, and the first line names ${columns.length} columns`;
    return { line, problem };
  }
  try {
    return { line, text: parseRow({ columns, cells, isText }) };
  } catch (error) {
    if (error instanceof Fault) return { line, problem: error.message };
    throw error;
  }
}

/** Faults: invalid_argument for what is no CSV, with its line. */
export async function* csvRecords(
  source: AsyncIterable<Uint8Array>,
  { delimiter, isText }: CsvOptions,
): AsyncGenerator<FileRecord> {
  const parser = parse({
    delimiter,
    info: true,
    relaxColumnCount: true,
    skipEmptyLines: true,
    maxRecordSize: RECORD_BYTES_MAX,
  });
  const input = Readable.from(source);
  input.on("error", (error) => parser.destroy(error));
  input.pipe(parser);
  let columns: ColumnPath[] | undefined;
  try {
    for await (const row of parser as AsyncIterable<PlacedRow>) {
      if (columns === undefined) columns = readColumns(row.record);
      else yield toRecord(columns, row, isText);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = error["lines"] === undefined ? "" : `line ${error["lines"]}: `;
    const told = `${line}${error.message}; nothing behind it is read`;
    throw new Fault("invalid_argument", told, {}, error);
  } finally {
    input.destroy();
    parser.destroy();
  }
}
