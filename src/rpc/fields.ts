// Faults about what a client sent, with the name of the request's field in front.
import { Fault } from "../base/faults.ts";
import { type DocumentKey, documentKey, parseCollection } from "../store/document-key.ts";

/** `invalid_argument`, in one form for all fields: "doc_id: …". */
export function fieldFault(field: string, sentence: string, cause?: unknown): Fault {
  return new Fault("invalid_argument", `${field}: ${sentence}`, {}, cause);
}

function named(field: string, error: unknown): unknown {
  if (!(error instanceof Fault)) return error;
  if (error.code !== "invalid_argument" && error.code !== "payload_too_large") return error;
  return new Fault(error.code, `${field}: ${error.message}`);
}

/** What `read` gives; what it finds wrong is told with the field's name. */
export function inField<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw named(field, error);
  }
}

/** As inField, of something that is done with the field's value. */
export async function withField<T>(field: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw named(field, error);
  }
}

export function collectionIn(field: string, text: string): string {
  return inField(field, () => parseCollection(text));
}

/** The key of a request's `collection` and of the field that has the id. */
export function keyIn(collection: string, idField: string, id: string): DocumentKey {
  collectionIn("collection", collection);
  return inField(idField, () => documentKey(collection, id));
}
