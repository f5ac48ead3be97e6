// What the published description says of the routes for backups.
import { answers, count, describe, json, object, segment, text } from "./describe.ts";

const HOLD = segment("id", "The name that the beginning of the copy was answered with.");
const NOTHING = object({});

export const BACKUP_DOCS = {
  begin: describe({
    summary: "Hold the database's file still while somebody on the node's machine copies it.",
    description:
      "Meanwhile the file does not change and its log (`-wal` behind its name) only grows: a copy of the file and then of the log is the database. Documents are read and written as always. It ends with a DELETE, after `lease_ms` without a PUT, or when the log has become too large. `peat-sidecar backup` does all of this.",
    responses: answers(
      {
        201: json(
          "It is held.",
          object({
            id: text,
            database: text,
            lease_ms: count,
            store_id: text,
            node_id: text,
            formation: text,
            version: text,
          }),
        ),
      },
      [503],
    ),
  }),
  renew: describe({
    summary: "Go on copying.",
    parameters: [HOLD],
    responses: answers(
      { 200: json("The file is held still, and was all the time.", NOTHING) },
      [409],
    ),
  }),
  end: describe({
    summary: "End the copying.",
    parameters: [HOLD],
    responses: answers({ 200: json("The file was held still all the time.", NOTHING) }, [409]),
  }),
} as const;
