// A place in an order as text: `next` of one page, `after` of the next. It names no document: what was the last one
// may change or go, and the place is still there.
//
//   cursor = base64url(JSON [checksum of the order, id, value…])        value = rank | "n" number | "t" text
import { Fault } from "../base/faults.ts";
import {
  NUMBER_RANK,
  type PlainRank,
  type SortKey,
  type SortValue,
  TEXT_RANK,
} from "../store/document-order.ts";
import { exactNumber } from "../store/document-query.ts";
import { type JsonValue, parseJson, printJson } from "../store/json.ts";

const CHARS_MAX = 8192;
const PLAIN_RANKS: readonly PlainRank[] = [0, 1, 2, 3, 6];

function printValue(value: SortValue): string | number {
  if (value.rank === NUMBER_RANK) return `n${value.value}`;
  return value.rank === TEXT_RANK ? `t${value.value}` : value.rank;
}

function readValue(value: JsonValue | undefined): SortValue | undefined {
  if (typeof value !== "string") {
    const rank = PLAIN_RANKS.find((one) => one === value);
    return rank === undefined ? undefined : { rank };
  }
  if (value.startsWith("t")) return { rank: TEXT_RANK, value: value.slice(1) };
  const number = value.startsWith("n") ? exactNumber(parseJson(value.slice(1))) : undefined;
  return number === undefined ? undefined : { rank: NUMBER_RANK, value: number };
}

/** `order` as the client wrote it: a cursor is good for that order only. */
export function printCursor(order: string, { values, id }: SortKey): string {
  const parts = [Bun.hash.crc32(order), id, ...values.map(printValue)];
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** Fault `invalid_argument` for what no page of this order has given. */
export function parseCursor(order: string, text: string, fields: number): SortKey {
  const key = text.length <= CHARS_MAX ? readCursor(order, text) : undefined;
  if (key?.values.length === fields) return key;
  throw new Fault(
    "invalid_argument",
    "query parameter after must be `next` of a page with the same order",
  );
}

function readCursor(order: string, text: string): SortKey | undefined {
  try {
    const parts = parseJson(Buffer.from(text, "base64url").toString());
    // Also says whether the texts are well-formed.
    printJson(parts);
    if (!Array.isArray(parts)) return undefined;
    const [checksum, id, ...rest] = parts as readonly JsonValue[];
    if (checksum !== Bun.hash.crc32(order) || typeof id !== "string") return undefined;
    const values = rest.map(readValue).filter((value) => value !== undefined);
    return values.length === rest.length ? { values, id } : undefined;
  } catch (error) {
    // No JSON, or half a character.
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
