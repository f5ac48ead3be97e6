// In which order somebody wants documents: by values in them, then by id. Every document has its place: a value is
// first of one kind, then before or behind others of it.
//
//   nothing there < null < false < true < numbers < texts, by their first 128 characters < lists and objects, all alike
import { type Comparison, compareBytes, compareNumbers, exactNumber } from "./document-query.ts";
import { type FieldPath, valueAt } from "./field-path.ts";
import type { JsonObject, JsonValue } from "./json.ts";

export interface OrderField {
  readonly path: FieldPath;
  readonly descending: boolean;
}

/** By its first field, where that is equal by the next, and so on; documents equal in all of them by id. */
export type DocumentOrder = readonly OrderField[];

/** Values of one kind that have no order of their own. */
export type PlainRank = 0 | 1 | 2 | 3 | 6;
export const NUMBER_RANK = 4;
export const TEXT_RANK = 5;

export type SortValue =
  | { readonly rank: PlainRank }
  | { readonly rank: typeof NUMBER_RANK; readonly value: number | bigint }
  | { readonly rank: typeof TEXT_RANK; readonly value: string };

/** Of what a document has there, so that the place in an order is small whatever the document. */
export const TEXT_CHARS_MAX = 128;

/** A document's place in an order. */
export interface SortKey {
  readonly values: readonly SortValue[];
  readonly id: string;
}

function sortValueOf(value: JsonValue | undefined): SortValue {
  if (value === undefined) return { rank: 0 };
  if (value === null) return { rank: 1 };
  if (typeof value === "boolean") return { rank: value ? 3 : 2 };
  if (typeof value === "string") return { rank: TEXT_RANK, value: beginningOf(value) };
  const number = exactNumber(value);
  return number === undefined ? { rank: 6 } : { rank: NUMBER_RANK, value: number };
}

function beginningOf(text: string): string {
  if (text.length <= TEXT_CHARS_MAX) return text;
  // By code points: half a surrogate pair has no place among UTF-8 bytes.
  return Array.from(text.slice(0, 2 * TEXT_CHARS_MAX))
    .slice(0, TEXT_CHARS_MAX)
    .join("");
}

export function sortKeyOf(document: JsonObject, id: string, order: DocumentOrder): SortKey {
  return { values: order.map(({ path }) => sortValueOf(valueAt(document, path))), id };
}

function compareValues(a: SortValue | undefined, b: SortValue | undefined): number {
  if (a?.rank === NUMBER_RANK && b?.rank === NUMBER_RANK) return compareNumbers(a.value, b.value);
  if (a?.rank === TEXT_RANK && b?.rank === TEXT_RANK) return compareBytes(a.value, b.value);
  return (a?.rank ?? 0) - (b?.rank ?? 0);
}

/** Negative or positive as `a` is before or behind `b`; zero for the same document only. */
export function compareSortKeys(a: SortKey, b: SortKey, order: DocumentOrder): number {
  for (const [index, { descending }] of order.entries()) {
    const result = compareValues(a.values[index], b.values[index]);
    if (result !== 0) return descending ? -result : result;
  }
  return compareBytes(a.id, b.id);
}

/** What the first field of a document up to a place in the order, or from it on, has to be; undefined: no order. */
export function boundBy(
  order: DocumentOrder,
  key: SortKey,
  side: "upTo" | "from",
): SortBound | undefined {
  const [field] = order;
  const [value] = key.values;
  if (field === undefined || value === undefined) return undefined;
  const isLess = field.descending === (side === "from");
  return { path: field.path, comparison: isLess ? "le" : "ge", value };
}

export interface SortBound {
  readonly path: FieldPath;
  readonly comparison: Extract<Comparison, "le" | "ge">;
  readonly value: SortValue;
}

/** The first so many places of an order, of any number that are added. */
export class FirstPlaces {
  readonly #count: number;
  readonly #order: DocumentOrder;
  #keys: SortKey[] = [];
  #bound: SortKey | undefined;

  constructor(count: number, order: DocumentOrder) {
    this.#count = count;
    this.#order = order;
  }

  /** What is behind this is not among them; undefined while there is room. */
  get bound(): SortKey | undefined {
    return this.#bound;
  }

  add(key: SortKey): void {
    if (this.#bound !== undefined && compareSortKeys(key, this.#bound, this.#order) > 0) return;
    this.#keys.push(key);
    // Not with each: sorted once for as many again.
    if (this.#keys.length >= 2 * this.#count) this.#cut();
  }

  /** In order. */
  keys(): readonly SortKey[] {
    this.#cut();
    return this.#keys;
  }

  #cut(): void {
    this.#keys.sort((a, b) => compareSortKeys(a, b, this.#order));
    this.#keys.length = Math.min(this.#keys.length, this.#count);
    if (this.#keys.length === this.#count) this.#bound = this.#keys.at(-1);
  }
}
