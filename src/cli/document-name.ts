// Documents as command lines name them: `tracks/t1`, or `tracks:t1` as logs have it.
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { documentKey } from "../store/document-key.ts";

export interface DocumentName {
  readonly collection: string;
  readonly id: string;
  /** `collection/id`, for sentences. */
  readonly text: string;
  /** Of the HTTP API, percent-encoded. */
  readonly path: string;
}

const NAME = /^(?<collection>[^/:]*)[/:](?<id>.*)$/su;

/** Fault `invalid_argument` says which part is wrong. The id may hold slashes and colons, the collection neither. */
export function parseDocumentName(text: string): DocumentName {
  const { collection, id } = NAME.exec(text)?.groups ?? {};
  if (collection === undefined || id === undefined) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new Fault("invalid_argument", `${shown} must be COLLECTION/ID, such as tracks/t1`);
  }
  documentKey(collection, id);
  return {
    collection,
    id,
    text: `${collection}/${id}`,
    path: `${API}/documents/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`,
  };
}
