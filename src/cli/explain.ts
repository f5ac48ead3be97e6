// `explain`: why a document is, or is not, the same on every peer, and what to do.
import { FAULTS, Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { field, listIn, numberField, textField } from "./answer.ts";
import { millisecondsOf, type OptionRow } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { parseDocumentName } from "./document-name.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printAge, printBytes } from "./quantities.ts";
import type { Tone } from "./style.ts";
import type { Cell, Column, Row } from "./table.ts";
import { safeText } from "./terminal-text.ts";

const WAIT_OPTION: OptionRow = {
  name: "wait",
  value: "SECONDS",
  help: "Ask until it is equal everywhere, or until so much time has passed.",
};
const WAIT_SECS_MAX = 86_400;
const ASK_AGAIN_MS = 500;
const SHORT_HASH_CHARS = 10;

const COLUMNS: readonly Column[] = [
  { title: "NODE", shrinksTo: 16 },
  { title: "HAS IT" },
  { title: "STATE", rank: 3 },
  { title: "LIFE", align: "right", rank: 4 },
  { title: "SIZE", align: "right", rank: 2 },
  { title: "CHANGED", rank: 1 },
  { title: "QUEUED", align: "right" },
  { title: "NOTE", isNote: true },
];

type Verdict = "equal" | "differs" | "unknown";

interface Answer {
  readonly verdict: Verdict;
  readonly message: string;
  readonly here: unknown;
  readonly peers: readonly unknown[];
  readonly causes: readonly unknown[];
}

/** Fault `wire_invalid` for an answer that is none of a node's. */
function parseAnswer(value: unknown): Answer {
  const verdict = field(value, "verdict");
  const isKnown = verdict === "equal" || verdict === "differs" || verdict === "unknown";
  if (!isKnown) {
    throw new Fault("wire_invalid", "the answer of the node explains nothing; is it an older one?");
  }
  const [peers, causes] = [listIn(value, "peers"), listIn(value, "causes")];
  const message = textField(value, "message") ?? "";
  return { verdict, message, here: field(value, "here"), peers, causes };
}

const TONES: Readonly<Record<Verdict, Tone>> = {
  equal: "good",
  differs: "bad",
  unknown: "warning",
};

function hasIt(stand: unknown, same: unknown): Cell {
  const standing = textField(stand, "standing") ?? "unknown";
  if (same === true) return { text: standing, tone: "good" };
  return { text: standing, tone: same === false ? "bad" : "warning" };
}

function noteOf(stand: unknown): string {
  const [by, at] = [textField(stand, "deleted_by"), numberField(stand, "deleted_at_ms")];
  const deleted = at === undefined ? [] : [`deleted${by === undefined ? "" : ` by ${by}`}`];
  const failure = textField(stand, "last_failure");
  return [...deleted, ...(failure === undefined ? [] : [failure])].join("; ");
}

function rowOf(stand: unknown, { name, same }: { name: string; same: unknown }): Row {
  const now = Date.now();
  const [bytes, changed] = [numberField(stand, "bytes"), numberField(stand, "changed_at_ms")];
  const life = numberField(stand, "life");
  const queued = numberField(stand, "queued");
  return [
    { text: name, tone: "accent" },
    hasIt(stand, same),
    textField(stand, "hash")?.slice(0, SHORT_HASH_CHARS) ?? "-",
    life === undefined ? "-" : String(life),
    bytes === undefined ? "-" : printBytes(bytes),
    changed === undefined ? "-" : printAge(changed, now),
    queued === undefined ? "-" : String(queued),
    { text: noteOf(stand), tone: "dim" },
  ];
}

function view(printer: Printer, { verdict, message, here, peers, causes }: Answer): string {
  const { paint } = printer;
  const told = causes.map((cause) => {
    const sentence = safeText(textField(cause, "message") ?? "");
    const remedy = textField(cause, "remedy");
    const hint = remedy === undefined ? "" : `\n    ${paint(safeText(remedy), "dim")}`;
    return `  - ${sentence}${hint}\n`;
  });
  const own = `${textField(here, "node_id") ?? "?"} (here)`;
  const rows = [
    rowOf(here, { name: own, same: true }),
    ...peers.map((peer) =>
      rowOf(peer, { name: textField(peer, "id") ?? "?", same: field(peer, "same") }),
    ),
  ];
  const head = `${paint(safeText(message), TONES[verdict])}\n`;
  return `${head}${told.join("")}\n${printer.table(COLUMNS).print(rows)}`;
}

/** Where there is a document, or was; what never was may be on its way. */
function isSettled({ verdict, here }: Answer): boolean {
  return verdict === "equal" && textField(here, "standing") !== "absent";
}

function exitCode(answer: Answer): number {
  if (isSettled(answer)) return EXIT.ok;
  return answer.verdict === "equal" ? FAULTS.document_not_found.exit : EXIT.failed;
}

async function explain(call: Call): Promise<number> {
  const [word = ""] = call.words;
  const { collection, id } = parseDocumentName(word);
  const untilMs =
    performance.now() + (millisecondsOf(call.options, WAIT_OPTION, WAIT_SECS_MAX) ?? 0);
  const printer = new Printer(call);
  const path = `${API}/explain/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
  return await withNode(call, async (node) => {
    while (true) {
      const value = await askJson(node, { method: "GET", path });
      const answer = parseAnswer(value);
      if (isSettled(answer) || performance.now() >= untilMs) {
        printer.write(printer.form === "text" ? view(printer, answer) : printer.json(value));
        return exitCode(answer);
      }
      await Bun.sleep(ASK_AGAIN_MS);
    }
  });
}

export const explainCommand: Command = {
  name: "explain",
  sentence: "Tell why a document is, or is not, the same on every peer, and what to do.",
  usage: "COLLECTION/ID [--wait SECONDS] [--json] [--url URL] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [WAIT_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["explain tracks/t1", "explain tracks/t1 --wait 60", "explain tracks/t1 --json"],
  run: explain,
};
