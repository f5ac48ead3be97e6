// What the published description says of the routes for files between nodes.
import {
  answers,
  count,
  describe,
  flag,
  json,
  listOf,
  object,
  orNull,
  queries,
  segment,
  text,
} from "./describe.ts";
import { ATTACHMENT_LIMIT, BUNDLE } from "./query.ts";

const STATUS = { enum: ["pending", "in_progress", "completed", "failed", "cancelled"] };

const DISTRIBUTION = object({
  id: text,
  bundle_id: text,
  file_index: count,
  file_count: count,
  sender: text,
  name: text,
  root_name: text,
  relative_path: text,
  size_bytes: count,
  sha256: text,
  blob_token: text,
  priority: text,
  started_at_ms: count,
  ended_at_ms: orNull("integer"),
  status: STATUS,
  bytes_transferred: count,
  error: orNull("string"),
  nodes: listOf(
    object({
      id: text,
      name: orNull("string"),
      status: STATUS,
      bytes: count,
      error: orNull("string"),
    }),
  ),
});
const LIST = object({ distributions: listOf(DISTRIBUTION) });
const ID = segment("id", "The id of a distribution: one file on its way to some nodes.");

const ORDER = object(
  {
    files: listOf(
      object(
        {
          root_name: text,
          relative_path: text,
          display_name: text,
          content_type: text,
          size_bytes: count,
          sha256: text,
        },
        ["display_name", "content_type", "size_bytes", "sha256"],
      ),
    ),
    scope: {
      oneOf: [
        object({ all_nodes: { type: "object" } }),
        object({ node_list: object({ node_ids: listOf(text) }) }),
      ],
    },
    priority: { enum: ["bulk", "low", "routine", "priority", "critical"] },
    bundle_id: text,
  },
  ["scope", "priority", "bundle_id"],
);

export const ATTACHMENT_DOCS = {
  list: describe({
    summary: "Files on their way between nodes, whoever has sent them, the newest first.",
    parameters: queries(ATTACHMENT_LIMIT, BUNDLE),
    responses: answers({ 200: json("So many of them.", LIST) }, [400, 503]),
  }),
  roots: describe({
    summary:
      "The folders from which this node sends files. Needs the token also where reads are open.",
    responses: answers({
      200: json(
        "None where it sends no files.",
        object({ roots: listOf(object({ name: text, path: text })) }),
      ),
    }),
  }),
  one: describe({
    summary: "How one file gets on, node by node.",
    parameters: [ID],
    responses: answers({ 200: json("As it is known here.", DISTRIBUTION) }, [404]),
  }),
  send: describe({
    summary: "Send files below the roots to nodes that have an inbox.",
    description:
      "Answered when the files have been copied; what happens to the originals later changes nothing. `size_bytes` and `sha256` may be left out, together: what is there is sent. With them, a file that is another is refused. Without a scope, all nodes with an inbox. The same bundle_id and the same files again are the same distributions.",
    requestBody: { required: true, content: { "application/json": { schema: ORDER } } },
    responses: answers(
      { 201: json("On their way.", LIST) },
      [400, 408, 409, 413, 415, 501, 503, 507],
    ),
  }),
  cancel: describe({
    summary: "Stop a file that this node has sent; who has it keeps it.",
    parameters: [ID],
    responses: answers(
      { 200: json("Whether it was still under way.", object({ cancelled: flag })) },
      [404, 409, 501],
    ),
  }),
} as const;
