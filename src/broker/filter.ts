// Which documents a client wants, and in which order: from query parameters to what the store is asked. Each problem
// names its place.
//
//   filter = {"field":"position.lat","gt":48,"le":49}         operators of one field hold together
//          | {"and":[filter,…]} | {"or":[filter,…]} | {"not":filter}
//   order  = -confidence,position.lat                         "-" is descending
import { Fault } from "../base/faults.ts";
import type { DocumentOrder, OrderField } from "../store/document-order.ts";
import type { Comparison, DocumentQuery } from "../store/document-query.ts";
import { type FieldPath, parseFieldPath } from "../store/field-path.ts";
import { isObject, type JsonObject, type JsonValue, parseJson, printJson } from "../store/json.ts";

export const FILTER_CHARS_MAX = 8192;
const DEPTH_MAX = 16;
const CLAUSES_MAX = 64;
const ORDER_FIELDS_MAX = 4;

const COMPARISONS: readonly Comparison[] = ["lt", "le", "gt", "ge"];
const OPERATORS = "eq, ne, lt, le, gt, ge, in, exists";

function fault(place: string, sentence: string): Fault {
  return new Fault("invalid_argument", `query parameter ${place}: ${sentence}`);
}

function readPath(text: JsonValue | undefined, place: string): FieldPath {
  if (typeof text !== "string") throw fault(place, "must be the path of a field, as a text");
  try {
    const path = parseFieldPath(text);
    if (path[0] !== "_id") return path;
  } catch (error) {
    throw error instanceof Fault ? fault(place, error.message) : error;
  }
  throw fault(
    place,
    "_id is no field of a document but its id; use `after`, or read it by its path",
  );
}

/** What is to be compared: any JSON that a document could hold. */
function readValue(value: JsonValue, place: string): JsonValue {
  try {
    printJson(value);
    return value;
  } catch (error) {
    throw error instanceof Fault ? fault(place, error.message) : error;
  }
}

class FilterReader {
  #clauses = 0;

  read(filter: JsonValue | undefined, place: string, depth: number): DocumentQuery {
    if (depth > DEPTH_MAX) throw fault(place, `is deeper than ${DEPTH_MAX} levels`);
    if (!isObject(filter)) throw fault(place, "must be an object");
    if ("field" in filter) return this.#readField(filter, place);
    const [name, ...others] = Object.keys(filter);
    const value = name === undefined ? undefined : filter[name];
    if (others.length === 0 && (name === "and" || name === "or")) {
      if (!Array.isArray(value)) throw fault(`${place}.${name}`, "must be a list of filters");
      const clauses = value.map((clause: JsonValue, index) =>
        this.read(clause, `${place}.${name}[${index}]`, depth + 1),
      );
      return { kind: name, clauses };
    }
    if (others.length === 0 && name === "not") {
      return { kind: "not", clause: this.read(value, `${place}.not`, depth + 1) };
    }
    throw fault(place, `must have either field and some of ${OPERATORS}, or one of and, or, not`);
  }

  #readField({ field, ...operators }: JsonObject, place: string): DocumentQuery {
    const path = readPath(field, `${place}.field`);
    const clauses = Object.entries(operators).map(([name, value]) =>
      this.#readOperator(path, { name, value, place: `${place}.${name}` }),
    );
    const [first, ...more] = clauses;
    if (first === undefined) throw fault(place, `must have some of ${OPERATORS} beside field`);
    return more.length === 0 ? first : { kind: "and", clauses };
  }

  #readOperator(
    path: FieldPath,
    { name, value, place }: { name: string; value: JsonValue; place: string },
  ): DocumentQuery {
    if (name === "in") {
      if (!Array.isArray(value)) throw fault(place, "must be a list of values");
      const clauses = value.map((item: JsonValue, index) =>
        this.#equal(path, item, `${place}[${index}]`),
      );
      return { kind: "or", clauses };
    }
    if (name === "eq") return this.#equal(path, value, place);
    if (name === "ne") return { kind: "not", clause: this.#equal(path, value, place) };
    this.#count(place);
    if (name === "exists") {
      if (typeof value !== "boolean") throw fault(place, "must be true or false");
      return value ? { kind: "exists", path } : { kind: "not", clause: { kind: "exists", path } };
    }
    const kind = COMPARISONS.find((one) => one === name);
    if (kind === undefined) throw fault(place, `there is no such operator; use ${OPERATORS}`);
    return { kind, path, value: readValue(value, place) };
  }

  #equal(path: FieldPath, value: JsonValue, place: string): DocumentQuery {
    this.#count(place);
    return { kind: "eq", path, value: readValue(value, place) };
  }

  #count(place: string): void {
    this.#clauses += 1;
    if (this.#clauses > CLAUSES_MAX) {
      throw fault(place, `the filter asks for more than ${CLAUSES_MAX} comparisons`);
    }
  }
}

/** Fault `invalid_argument` with the place in the filter. */
export function parseFilter(text: string): DocumentQuery {
  if (text.length > FILTER_CHARS_MAX) {
    throw fault("filter", `is longer than ${FILTER_CHARS_MAX} characters`);
  }
  return new FilterReader().read(parseFilterText(text), "filter", 1);
}

function parseFilterText(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch {
    // The parser's words are about bodies of documents.
    throw fault("filter", 'must be JSON such as {"field":"confidence","gt":0.8}');
  }
}

/** Fault `invalid_argument` with the part that is wrong. */
export function parseOrder(text: string): DocumentOrder {
  const parts = text.match(/(?:\\.|[^,\\])+/gsu) ?? [];
  if (parts.length === 0 || parts.length > ORDER_FIELDS_MAX || parts.join(",") !== text) {
    throw fault("order", `must be a comma list of 1 to ${ORDER_FIELDS_MAX} paths of fields`);
  }
  return parts.map((part): OrderField => {
    const descending = part.startsWith("-");
    return { path: readPath(descending ? part.slice(1) : part, "order"), descending };
  });
}
