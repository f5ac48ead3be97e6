// What the published description says of the routes that tell what is wrong.
import {
  answers,
  count,
  describe,
  flag,
  json,
  listOf,
  object,
  orNull,
  segment,
  text,
} from "./describe.ts";

const number = orNull("integer");
const textOrNull = orNull("string");

const STANDING = {
  bytes: number,
  changed_at_ms: number,
  deleted_at_ms: number,
  deleted_by: textOrNull,
  hash: textOrNull,
  life: number,
  standing: textOrNull,
};

const CAUSE = object({ code: text, message: text, peer: textOrNull, remedy: textOrNull });

export const EXPLAIN_DOCS = {
  explain: describe({
    summary: "Why a document is, or is not, the same on every peer.",
    description:
      "Every connected peer is asked what it has of it; the answer comes within some seconds. `verdict` is equal, differs, or unknown where not every peer could be asked; `causes` are in the order of their weight.",
    parameters: [
      segment("collection", "The document's collection."),
      segment("id", "The document's id, percent-encoded."),
    ],
    responses: answers(
      {
        200: json(
          "What this node and its peers have, and what blocks.",
          object({
            verdict: { enum: ["equal", "differs", "unknown"] },
            message: text,
            collection: text,
            id: text,
            here: object({
              ...STANDING,
              deleted_reason: textOrNull,
              kept: { enum: ["history", "latest", null] },
              node_id: text,
              versions: number,
              writers: listOf(text),
              written_at_ms: number,
            }),
            peers: listOf(
              object({
                ...STANDING,
                clock_ahead_ms: number,
                connected: flag,
                id: text,
                last_failure: textOrNull,
                last_seen_ms: number,
                queued: count,
                queued_there: number,
                rtt_ms: number,
                same: orNull("boolean"),
                sought: flag,
                way: { enum: ["queued", "held", "sent", null] },
              }),
            ),
            causes: listOf(CAUSE),
          }),
        ),
      },
      [400, 503],
    ),
  }),
  doctor: describe({
    summary: "What the running node finds wrong with itself and its peers.",
    description: "`peat-sidecar doctor` adds what only the machine can tell.",
    responses: answers(
      {
        200: json(
          "Everything that was looked at.",
          object({
            findings: listOf(
              object({
                code: text,
                group: text,
                message: text,
                remedy: textOrNull,
                severity: { enum: ["ok", "warning", "problem"] },
              }),
            ),
          }),
        ),
      },
      [503],
    ),
  }),
} as const;
