// `peers`: who this node knows, how it reaches them, how far behind they are, and why one is not connected.
import { API } from "../broker/api-path.ts";
import { field, listIn, numberField, textField } from "./answer.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printAge, printCount, printDuration } from "./quantities.ts";
import { refresh, WATCH_OPTION } from "./refreshing.ts";
import type { Cell, Column, Row } from "./table.ts";

const SHORT_ID_CHARS = 10;

const COLUMNS: readonly Column[] = [
  { title: "NAME", shrinksTo: 16 },
  { title: "ID", rank: 4 },
  { title: "STATE" },
  { title: "PATH", rank: 1 },
  { title: "RTT", align: "right" },
  { title: "LAG", align: "right" },
  { title: "QUEUED", align: "right" },
  { title: "LAST SEEN", rank: 2 },
  { title: "VERSION", rank: 3 },
  { title: "WHY NOT CONNECTED", isNote: true },
];

const orDash = (value: string | undefined): Cell | string => value ?? { text: "-", tone: "dim" };

function stateCell(peer: unknown): Cell {
  if (field(peer, "connected") !== true) {
    return { text: textField(peer, "state") ?? "away", tone: "bad" };
  }
  // Nodes of older versions do not say.
  const isBehind = field(peer, "in_sync") === false;
  return isBehind ? { text: "syncing", tone: "warning" } : { text: "in sync", tone: "good" };
}

function queuedCell(peer: unknown): Cell | string {
  const queued = numberField(peer, "queued");
  if (queued === undefined) return orDash(undefined);
  return queued === 0 ? "0" : { text: String(queued), tone: "warning" };
}

function toRow(peer: unknown, nowMs: number): Row {
  const rtt = numberField(peer, "rtt_ms");
  const lag = numberField(peer, "lag_ms");
  const seen = numberField(peer, "last_seen_ms");
  return [
    { text: textField(peer, "id") ?? "?", tone: "accent" },
    orDash(textField(peer, "endpoint_id")?.slice(0, SHORT_ID_CHARS)),
    stateCell(peer),
    orDash(textField(peer, "path")),
    orDash(rtt === undefined ? undefined : printDuration(rtt)),
    orDash(lag === undefined ? undefined : printDuration(lag)),
    queuedCell(peer),
    orDash(seen === undefined ? undefined : printAge(seen, nowMs)),
    orDash(textField(peer, "version")),
    { text: textField(peer, "last_failure") ?? "", tone: "warning" },
  ];
}

async function askPeers(node: NodeClient): Promise<readonly unknown[]> {
  return listIn(await askJson(node, { method: "GET", path: `${API}/peers` }), "peers");
}

function view(printer: Printer, peers: readonly unknown[]): string {
  if (peers.length === 0) return "no peers are known yet; see PEAT_DISCOVERY\n";
  const nowMs = Date.now();
  const connected = peers.filter((peer) => field(peer, "connected") === true).length;
  const table = printer.table(COLUMNS).print(peers.map((peer) => toRow(peer, nowMs)));
  const summary = `${printCount(peers.length, "peer")}, ${connected} connected`;
  return printer.width === undefined ? table : `${table}${printer.paint(summary, "dim")}\n`;
}

async function peersOf(call: Call): Promise<number> {
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const look = async () => {
      const peers = await askPeers(node);
      return printer.form === "text" ? view(printer, peers) : printer.jsonList(peers);
    };
    if (call.options.has(WATCH_OPTION.name)) {
      return await refresh(call, { look, isText: printer.form === "text" });
    }
    printer.write(await look());
    return EXIT.ok;
  });
}

export const peersCommand: Command = {
  name: "peers",
  sentence:
    "Show the peers of the node: path, round trip, lag, what waits for them, and why one is not connected.",
  usage: "[--watch] [--json | --ndjson] [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [WATCH_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["peers", "peers --watch", "peers --ndjson"],
  run: peersOf,
};
