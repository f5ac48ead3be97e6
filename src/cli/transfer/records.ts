// A file of documents as a sequence of records, each with its place, never more of it in memory than one record.
import { Fault } from "../../base/faults.ts";

export const FORMATS = ["ndjson", "json", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** One document as JSON text, or why there is none at this place. */
export type FileRecord =
  | { readonly line: number; readonly text: string }
  | { readonly line: number; readonly column?: number; readonly problem: string };

/** Longer ones are passed over: no node takes them. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;

const BOM = [0xef, 0xbb, 0xbf];

function isUtf16(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  const isMarked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  return (
    isMarked || (first !== undefined && second !== undefined && (first === 0) !== (second === 0))
  );
}

/** Without a byte order mark. Fault `unsupported_media_type` for UTF-16. */
export async function* checkedBytes(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = new Uint8Array(0);
  let isChecked = false;
  for await (const piece of source) {
    if (isChecked) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < BOM.length) continue;
    yield checkHead(head);
    isChecked = true;
  }
  if (!isChecked) yield checkHead(head);
}

function checkHead(head: Uint8Array): Uint8Array {
  if (isUtf16(head)) {
    throw new Fault(
      "unsupported_media_type",
      "this is UTF-16; make it UTF-8: iconv -f UTF-16 -t UTF-8",
    );
  }
  return BOM.every((byte, at) => head[at] === byte) ? head.subarray(BOM.length) : head;
}

/** By the ending of a name; undefined for others. */
export function formatOfName(name: string): Format | undefined {
  const ending = /\.([a-z]+)$/i.exec(name)?.[1]?.toLowerCase() ?? "";
  if (ending === "jsonl") return "ndjson";
  return FORMATS.find((format) => format === ending);
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The bytes of one record: a text, or why it is none. */
export function toRecord(bytes: Uint8Array, line: number): FileRecord {
  try {
    return { line, text: decoder.decode(bytes) };
  } catch {
    return { line, problem: "is not UTF-8" };
  }
}

export function tooLong(line: number): FileRecord {
  return { line, problem: `is longer than ${RECORD_BYTES_MAX} bytes` };
}
