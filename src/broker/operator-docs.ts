// What the published description says of the routes for operators.
import { LOG_LEVELS } from "../base/log-ring.ts";
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
  type Schema,
  text,
} from "./describe.ts";
import { DIFF, LOG_AFTER, LOG_LEVEL, LOG_LIMIT } from "./query.ts";

const SETTING = {
  name: text,
  variable: text,
  value: orNull("string"),
  is_secret: flag,
  is_set: flag,
  origin: text,
};
const FILTER_SHAPE = object({ filter: text, ordered: flag, unknown: listOf(text) });
const SYNC = object({ running: flag });

function bodyOf(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } };
}

export const OPERATOR_DOCS = {
  status: describe({
    summary: "The whole node at a glance: process, readiness, documents, peers, listeners.",
    responses: answers({
      200: json(
        "This node, now.",
        object({
          node_id: text,
          version: text,
          program: text,
          commit: text,
          pid: count,
          endpoint_id: text,
          started_at_ms: count,
          rss_bytes: count,
          uptime_secs: count,
          ready: flag,
          checks: listOf(object({ name: text, ready: flag, message: orNull("string") })),
          sync: SYNC,
          documents: count,
          tombstones: count,
          changes: count,
          collections: count,
          queued: count,
          database_bytes: count,
          wal_bytes: count,
          peers: object({ known: count, connected: count, in_sync: count, relayed: count }),
          listeners: listOf(
            object({ kind: { enum: ["broker", "rpc", "iroh", "control"] }, address: text }),
          ),
        }),
      ),
    }),
  }),
  sync: describe({
    summary: "Whether this node and its peers exchange documents.",
    responses: answers({ 200: json("Whether they do.", SYNC) }),
  }),
  setSync: describe({
    summary: "Stop or start the exchange with all peers.",
    description:
      "Stopped, every peer is disconnected until sync is started or the node restarts; reads and writes here go on. What was missed meanwhile is exchanged after the start.",
    requestBody: bodyOf(SYNC),
    responses: answers({ 200: json("As it is now.", SYNC) }, [400, 408, 413, 415]),
  }),
  logs: describe({
    summary:
      "The newest log lines, as they were printed. Needs the token also where reads are open.",
    description:
      "About one MiB of them is kept in memory. Numbers grow, also over restarts. `next` is what to ask after for what follows; `dropped` counts lines behind `after` that are no longer kept.",
    parameters: queries(LOG_LIMIT, LOG_AFTER, LOG_LEVEL),
    responses: answers(
      {
        200: json(
          "Lines in their order.",
          object({
            lines: listOf(
              object({
                n: count,
                at_ms: count,
                level: { enum: [...LOG_LEVELS] },
                target: text,
                message: text,
                fields: { type: "object" },
              }),
            ),
            next: count,
            dropped: count,
          }),
        ),
      },
      [400],
    ),
  }),
  filter: describe({
    summary: "What is logged, as RUST_LOG has it. Needs the token also where reads are open.",
    responses: answers({ 200: json("`ordered`: not that of the settings.", FILTER_SHAPE) }),
  }),
  orderFilter: describe({
    summary: "Log by another filter until the next reload or restart; null ends that.",
    description: "`unknown` names targets in it that nothing logs under so far.",
    requestBody: bodyOf(object({ filter: orNull("string") })),
    responses: answers({ 200: json("As it is now.", FILTER_SHAPE) }, [400, 408, 413, 415]),
  }),
  config: describe({
    summary: "The settings in force, with origins. Needs the token also where reads are open.",
    description:
      "Of secrets only whether they are set. With `diff`, `waiting` are settings that would be others if the node read them now, and `problems` say why it could not.",
    parameters: queries(DIFF),
    responses: answers(
      {
        200: json(
          "All settings.",
          object(
            {
              settings: listOf(object(SETTING)),
              waiting: listOf(object({ ...SETTING, taken_by: { enum: ["reload", "restart"] } })),
              problems: listOf(text),
            },
            ["waiting", "problems"],
          ),
        ),
      },
      [400],
    ),
  }),
} as const;
