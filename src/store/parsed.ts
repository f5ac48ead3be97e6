// Documents parsed for questions about them: readers come to the same version of one after another.
import type { StoredDocument } from "./feed.ts";
import { type JsonObject, parseJsonObject } from "./json.ts";

const parsed = new WeakMap<StoredDocument, JsonObject>();

/** The document as an object; of one that is not deleted. */
export function parsedDocument(document: StoredDocument): JsonObject {
  let object = parsed.get(document);
  if (object === undefined) {
    object = parseJsonObject(document.json);
    parsed.set(document, object);
  }
  return object;
}
