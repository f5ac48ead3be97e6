// `status`: the node at a glance.
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { field, listField, numberField, textField } from "./answer.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printBytes, printCount, printDuration } from "./quantities.ts";
import { refresh, WATCH_OPTION } from "./refreshing.ts";
import { safeText } from "./terminal-text.ts";

const LABEL_CELLS = 11;

const safeField = (value: unknown, name: string): string => safeText(textField(value, name) ?? "?");

const number = (value: unknown, name: string): number => numberField(value, name) ?? 0;

function peersLine(status: unknown): string {
  const peers = field(status, "peers");
  const relayed = number(peers, "relayed");
  const parts = [
    `${number(peers, "known")} known`,
    `${number(peers, "connected")} connected`,
    `${number(peers, "in_sync")} in sync`,
    ...(relayed > 0 ? [`${relayed} by relay`] : []),
  ];
  return parts.join(", ");
}

function documentsLine(status: unknown): string {
  const collections = printCount(number(status, "collections"), "collection");
  const tombstones = printCount(number(status, "tombstones"), "tombstone");
  return `${number(status, "documents")} in ${collections}, ${tombstones}`;
}

/** What readiness waits for, and what else an operator should know. */
function checkLines(printer: Printer, status: unknown): string[] {
  return listField(status, "checks").flatMap((check) => {
    const message = textField(check, "message");
    if (message === undefined) return [];
    const tone = field(check, "ready") === true ? "warning" : "bad";
    return [`${printer.paint(safeField(check, "name"), tone)}: ${safeText(message)}`];
  });
}

function view(printer: Printer, status: unknown): string {
  const { paint } = printer;
  const isReady = field(status, "ready") === true;
  const isSyncing = field(field(status, "sync"), "running") === true;
  const queued = number(status, "queued");
  const bytes = printBytes(number(status, "database_bytes"));
  const wal = printBytes(number(status, "wal_bytes"));
  const listeners = listField(status, "listeners").map(
    (one) => `${safeField(one, "kind")} ${safeField(one, "address")}`,
  );
  const rows: readonly (readonly [string, string])[] = [
    ["peers", peersLine(status)],
    [
      "sync",
      isSyncing ? "running" : paint("stopped; peat-sidecar sync start ends that", "warning"),
    ],
    ["queued", queued === 0 ? "nothing" : paint(printCount(queued, "document"), "warning")],
    ["documents", documentsLine(status)],
    ["database", `${bytes}, and ${wal} of log`],
    ["memory", printBytes(number(status, "rss_bytes"))],
    [
      "up",
      `${printDuration(number(status, "uptime_secs") * 1000)}, process ${number(status, "pid")}`,
    ],
    ["version", `${safeField(status, "version")} (${safeField(status, "commit")})`],
    ["endpoint", safeField(status, "endpoint_id")],
    ...listeners.map((text, at) => [at === 0 ? "listens" : "", text] as const),
  ];
  const head = `${paint(safeField(status, "node_id"), "strong")}  ${isReady ? paint("ready", "good") : paint("not ready", "bad")}`;
  const lines = rows.map(([label, text]) => `${paint(label.padEnd(LABEL_CELLS), "dim")}${text}`);
  return `${[head, ...checkLines(printer, status), ...lines].join("\n")}\n`;
}

async function status(call: Call): Promise<number> {
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const look = async () => {
      const answer = await askJson(node, { method: "GET", path: `${API}/status` });
      if (textField(answer, "node_id") === undefined) {
        throw new Fault("wire_invalid", "the answer of the node tells nothing of a node");
      }
      return printer.form === "text" ? view(printer, answer) : printer.json(answer);
    };
    if (call.options.has(WATCH_OPTION.name)) {
      return await refresh(call, { look, isText: printer.form === "text" });
    }
    printer.write(await look());
    return EXIT.ok;
  });
}

export const statusCommand: Command = {
  name: "status",
  sentence: "Show the node at a glance: readiness and what it waits for, peers, documents, sizes.",
  usage: "[--watch] [--json | --ndjson] [--url URL] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [WATCH_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["status", "status --watch", "status --url http://10.0.0.7:8081 --json"],
  run: status,
};
