// Conditional requests (RFC 9110, section 13): headers to the state hashes that the store compares.
import { Fault } from "../base/faults.ts";

/** State hashes, or `*` for any existing document. */
export type Condition = readonly string[] | "*";

export interface Conditions {
  readonly ifMatch?: Condition;
  readonly ifNoneMatch?: Condition;
}

/** The ETag of a document in this state. */
export function printEtag(hash: string): string {
  return `"${hash}"`;
}

const ENTITY_TAG = /[ \t]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)/y;

interface EntityTag {
  readonly isWeak: boolean;
  readonly hash: string;
}

function parseTags(header: string, value: string): EntityTag[] | "*" {
  if (value.trim() === "*") return "*";
  const tags: EntityTag[] = [];
  ENTITY_TAG.lastIndex = 0;
  while (ENTITY_TAG.lastIndex < value.length) {
    const match = ENTITY_TAG.exec(value);
    if (match === null) break;
    tags.push({ isWeak: match[1] !== undefined, hash: match[2] ?? "" });
    if (ENTITY_TAG.lastIndex === value.length) return tags;
  }
  throw new Fault(
    "invalid_argument",
    `${header} must be * or a comma list of entity tags in double quotes, as the ETag header gives them`,
  );
}

/** Fault `invalid_argument` names the header that is no list of entity tags. */
export function parseConditions(headers: Headers): Conditions {
  const ifMatch = headers.get("if-match");
  const ifNoneMatch = headers.get("if-none-match");
  return {
    ...(ifMatch === null ? {} : { ifMatch: strong(parseTags("If-Match", ifMatch)) }),
    ...(ifNoneMatch === null ? {} : { ifNoneMatch: weak(parseTags("If-None-Match", ifNoneMatch)) }),
  };
}

/** Strong comparison: a weak tag matches nothing. */
function strong(tags: EntityTag[] | "*"): Condition {
  return tags === "*" ? tags : tags.filter((tag) => !tag.isWeak).map((tag) => tag.hash);
}

function weak(tags: EntityTag[] | "*"): Condition {
  return tags === "*" ? tags : tags.map((tag) => tag.hash);
}

function holds(condition: Condition, hash: string): boolean {
  return condition === "*" || condition.includes(hash);
}

/** Whether a reader has this state already (304). Fault `precondition_failed` when If-Match does not hold. */
export function isKnown({ ifMatch, ifNoneMatch }: Conditions, hash: string): boolean {
  if (ifMatch !== undefined && !holds(ifMatch, hash)) {
    throw new Fault(
      "precondition_failed",
      `If-Match does not hold: the state is ${printEtag(hash)}`,
    );
  }
  return ifNoneMatch !== undefined && holds(ifNoneMatch, hash);
}
