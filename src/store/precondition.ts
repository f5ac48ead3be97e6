// Conditional writes (RFC 9110, section 13.1), and what a write came to.
import { Fault } from "../base/faults.ts";
import type { DocumentKey } from "./document-key.ts";
import type { StoredDocument } from "./feed.ts";
import type { WriteOperation } from "./local-write.ts";
import type { StateHash } from "./state.ts";

export interface WriteRequest {
  readonly key: DocumentKey;
  readonly operation: WriteOperation;
  /** State hashes, one of which the document must have; "*": it must exist. */
  readonly ifMatch?: readonly string[] | "*";
  /** State hashes, none of which the document may have; "*": it must not exist. */
  readonly ifNoneMatch?: readonly string[] | "*";
  /** Of what is set aside, the content that this write brings back. */
  readonly restores?: number;
}

export interface WriteResult {
  readonly outcome: "created" | "changed" | "unchanged" | "deleted";
  readonly document: StoredDocument;
}

export function outcomeOf(
  operation: WriteOperation,
  existed: boolean,
  isNew: boolean,
): WriteResult["outcome"] {
  if (operation.kind === "delete") return "deleted";
  if (!isNew) return "unchanged";
  return existed ? "changed" : "created";
}

/** RFC 9110, section 13.1. Fault `precondition_failed` says what the document is instead. */
export function checkPreconditions(request: WriteRequest, hash: StateHash | undefined): void {
  const { ifMatch, ifNoneMatch } = request;
  const is = hash === undefined ? "the document does not exist" : `its state is "${hash}"`;
  const matches = (condition: readonly string[] | "*") =>
    hash !== undefined && (condition === "*" || condition.includes(hash));
  if (ifMatch !== undefined && !matches(ifMatch)) {
    throw new Fault("precondition_failed", `If-Match does not hold: ${is}`);
  }
  if (ifNoneMatch !== undefined && matches(ifNoneMatch)) {
    throw new Fault("precondition_failed", `If-None-Match does not hold: ${is}`);
  }
}
