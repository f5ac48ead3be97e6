// The name of a document: `collection:id`, split at the first colon.
import { toUtf8 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";

declare const brand: unique symbol;

/** `collection:id` within the limits below. Made by documentKey and parseDocumentKey only. */
export type DocumentKey = string & { readonly [brand]: "DocumentKey" };

const ID_BYTES_MAX = 512;

const COLLECTION = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ids must not hold them.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Fault `invalid_argument` unless 1 to 128 of `[A-Za-z0-9._-]`, the first a letter or digit. */
export function parseCollection(text: string): string {
  if (COLLECTION.test(text)) return text;
  throw new Fault(
    "invalid_argument",
    `collection ${JSON.stringify(text.slice(0, 140))} must be 1 to 128 letters, digits, dots, underscores or hyphens, the first a letter or digit`,
  );
}

/** The name of a document that a local caller gives. Fault `invalid_argument` names which part is wrong. */
export function documentKey(collection: string, id: string): DocumentKey {
  // Every HTTP client resolves such a path segment away, also an escaped one: nobody could read it back.
  if (id === "." || id === "..") {
    throw new Fault("invalid_argument", `document id ${JSON.stringify(id)} must not be . or ..`);
  }
  return checkedKey(collection, id);
}

function checkedKey(collection: string, id: string): DocumentKey {
  parseCollection(collection);
  const shown = JSON.stringify(id.slice(0, 80));
  if (id === "" || (id.length > ID_BYTES_MAX / 3 && toUtf8(id).length > ID_BYTES_MAX)) {
    throw new Fault("invalid_argument", `document id ${shown} must be 1 to ${ID_BYTES_MAX} bytes`);
  }
  if (CONTROL.test(id) || !id.isWellFormed()) {
    throw new Fault(
      "invalid_argument",
      `document id ${shown} must be well-formed text without control characters`,
    );
  }
  return `${collection}:${id}` as DocumentKey;
}

/** A key that a peer sends, split at the first colon. Fault `invalid_argument` as documentKey. */
export function parseDocumentKey(text: string): DocumentKey {
  const { collection, id } = splitKey(text);
  return checkedKey(collection, id);
}

export function splitKey(key: string): { collection: string; id: string } {
  const colon = key.indexOf(":");
  if (colon < 0) return { collection: key, id: "" };
  return { collection: key.slice(0, colon), id: key.slice(colon + 1) };
}
