// `watch`: changes of documents as they happen; through restarts of the node, until Ctrl-C.
import { Fault } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { parseCollection } from "../store/document-key.ts";
import { field, numberField, textField } from "./answer.ts";
import { countOf, type OptionRow } from "./arguments.ts";
import { BROKER_SETTING_NAMES } from "./broker-client.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { type Context, EXIT } from "./context.ts";
import { EventFeed } from "./event-feed.ts";
import { printExact } from "./exact-json.ts";
import { endOfWatching } from "./interruption.ts";
import { NODE_OPTIONS, NodeClient } from "./node-call.ts";
import { Printer, STREAM_OPTIONS } from "./printer.ts";
import type { Tone } from "./style.ts";
import { cutText } from "./table.ts";
import { safeText } from "./terminal-text.ts";
import { FILTER_OPTION, readWhere, WHERE_OPTION } from "./where.ts";

const SINCE_OPTION: OptionRow = {
  name: "since",
  value: "TOKEN",
  help: "Begin behind the event that had this token; what was changed since comes first.",
};
const COUNT_OPTION: OptionRow = {
  name: "count",
  value: "COUNT",
  help: "End after so many changes.",
};
const PEERS_OPTION: OptionRow = { name: "peers", help: "Tell of peers that come and go, too." };

const COLLECTIONS_MAX = 256;

const TONES: Readonly<Record<string, Tone>> = {
  created: "good",
  updated: "accent",
  deleted: "bad",
};

interface Watching {
  readonly query: Readonly<Record<string, string>>;
  readonly since: string | undefined;
  readonly count: number;
  readonly withPeers: boolean;
}

function readWatching({ words, options }: Call): Watching {
  const collections = words.map(parseCollection);
  const filter = readWhere(options);
  const since = options.get(SINCE_OPTION.name);
  if (since !== undefined && !/^[!-~]{1,200}$/.test(since)) {
    throw new Fault("invalid_argument", "--since must be the token of an earlier event");
  }
  return {
    query: {
      ...(collections.length === 0 ? {} : { collections: collections.join(",") }),
      ...(filter === undefined ? {} : { filter }),
    },
    since,
    count: countOf(options, COUNT_OPTION) ?? Number.POSITIVE_INFINITY,
    withPeers: options.has(PEERS_OPTION.name),
  };
}

/** `12:03:04  updated  tracks/t1  {"lat":47.4}`, no wider than the terminal. */
function printChange({ paint, width }: Printer, event: unknown): string {
  const action = textField(event, "action") ?? "changed";
  const name = `${textField(event, "collection")}/${textField(event, "doc_id")}`;
  const document = field(event, "document") ?? undefined;
  const time = new Date().toTimeString().slice(0, 8);
  const text = document === undefined ? "" : `  ${printExact(document)}`;
  const tone = TONES[action] ?? "plain";
  const head = `${paint(time, "dim")}  ${paint(safeText(action).padEnd(7), tone)}`;
  const line = `${head}  ${paint(safeText(name), "strong")}${text}`;
  return `${width === undefined ? line : cutText(line, width)}\n`;
}

function gapSentence(event: unknown): string {
  const missed = numberField(event, "missed");
  const what = missed === undefined ? "changes that nobody counted" : `${missed} changes`;
  return `${what} could not be told: read the collection again to be sure`;
}

/** Shows events and counts them; knows when there were enough. */
class Watcher {
  readonly #printer: Printer;
  readonly #context: Context;
  readonly #watching: Watching;
  readonly #isText: boolean;
  readonly #stop: () => void;
  #seen = 0;

  constructor(call: Call, watching: Watching, stop: () => void) {
    this.#printer = new Printer(call);
    this.#context = call.context;
    this.#watching = watching;
    this.#stop = stop;
    // A program that reads a pipe gets lines of JSON without asking for them.
    this.#isText = this.#printer.form === "text" && call.context.stdout.isTerminal;
  }

  tell(sentence: string): void {
    const { program, stderr } = this.#context;
    stderr.write(`${program}: ${safeText(sentence)}\n`);
  }

  /** False when standard output should have a rest. */
  show(event: unknown): boolean {
    const type = field(event, "type");
    if (type === "Gap") this.tell(gapSentence(event));
    const isChange = type === "SyncEvent";
    if (!isChange && type !== "Gap" && !this.#watching.withPeers) return true;
    if (this.#seen >= this.#watching.count) return true;
    if (!this.#isText) this.#printer.write(`${printExact(event)}\n`);
    else if (isChange) this.#printer.write(printChange(this.#printer, event));
    else if (type !== "Gap")
      this.#printer.write(`${this.#printer.paint(printExact(event), "dim")}\n`);
    if (isChange) this.#seen += 1;
    if (this.#seen >= this.#watching.count) this.#stop();
    return !this.#printer.isBehind;
  }

  /** The node waits meanwhile: it keeps its place by a token. */
  drained(): Promise<void> {
    return this.#printer.drained();
  }
}

async function watch(call: Call): Promise<number> {
  const { context } = call;
  const watching = readWatching(call);
  const ending = new AbortController();
  const stop = () => ending.abort();
  const watcher = new Watcher(call, watching, stop);
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  const feed = new EventFeed({
    open: () => NodeClient.open(call, picked.settings),
    query: watching.query,
    since: watching.since,
    onEvent: (event) => watcher.show(event),
    drained: () => watcher.drained(),
    isNewsWanted: watching.withPeers,
    onLost: (reason) => watcher.tell(`${reason}; trying again`),
    onBack: () => watcher.tell("the node is back; nothing was lost unless a gap is told"),
  });
  await feed.run(AbortSignal.any([ending.signal, endOfWatching(context)]));
  const { token } = feed;
  const isSeen = context.stderr.isTerminal && watching.count === Number.POSITIVE_INFINITY;
  if (isSeen && token !== undefined) watcher.tell(`to go on from here: --since ${token}`);
  return EXIT.ok;
}

export const watchCommand: Command = {
  name: "watch",
  sentence:
    "Follow the changes of all or some collections as they happen, through restarts of the node.",
  usage:
    "[COLLECTION…] [--where CONDITION]… [--filter JSON] [--since TOKEN] [--count COUNT] [--peers] [--ndjson] [--url URL] [settings…]",
  wordsMin: 0,
  wordsMax: COLLECTIONS_MAX,
  options: [
    WHERE_OPTION,
    FILTER_OPTION,
    SINCE_OPTION,
    COUNT_OPTION,
    PEERS_OPTION,
    ...STREAM_OPTIONS,
    ...NODE_OPTIONS,
  ],
  takesSettings: true,
  examples: [
    "watch",
    "watch tracks --where status=lost",
    "watch tracks | jq -c .document",
    "watch tracks --count 1",
  ],
  run: watch,
};
