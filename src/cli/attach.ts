// `attach`: files between nodes: sent, listed, followed to their end, cancelled.
import { PRIORITIES } from "../attachments/distribution.ts";
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { Absence } from "./absence.ts";
import { bodyField, listIn, refusalOf, textField } from "./answer.ts";
import { choiceOf, type OptionRow, refuseOptions, repeated } from "./arguments.ts";
import { askRoots, findFile } from "./attach-files.ts";
import { Board, isOver, statusOf, viewList, viewNodes } from "./attach-view.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { endOfWatching, pauseUntil } from "./interruption.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient, TIMEOUT_OPTION, URL_OPTION } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { safeText } from "./terminal-text.ts";

const TO_OPTION: OptionRow = {
  name: "to",
  value: "NODE",
  repeats: true,
  help: "Only to this node, by its name or the first ten digits of its endpoint id; several times for several. Without it, to all that have an inbox.",
};
const PRIORITY_OPTION: OptionRow = {
  name: "priority",
  value: PRIORITIES.join("|"),
  help: "Which files are fetched first.",
};
const BUNDLE_OPTION: OptionRow = {
  name: "bundle",
  value: "ID",
  help: "Send under this id: again the same files are not sent twice.",
};
const WATCH_OPTION: OptionRow = {
  name: "watch",
  short: "w",
  help: "With `send`: follow the files to their end, as `watch` does.",
};

const PATH = `${API}/attachments`;
const ACTIONS = ["send", "list", "status", "watch", "cancel"] as const;
const WORDS_MAX = 65;
const PAUSE_MS = 500;
/** Files are read and copied before the answer. */
const SEND_MS = 3_600_000;

const distributionsIn = (answer: unknown) => listIn(answer, "distributions");

/** By the id of a distribution or of a bundle. Fault `distribution_not_found`. */
async function find(node: NodeClient, id: string): Promise<readonly unknown[]> {
  const path = `${PATH}?limit=1000&bundle=${encodeURIComponent(id)}`;
  const bundle = distributionsIn(await askJson(node, { method: "GET", path }));
  if (bundle.length > 0) return bundle;
  return [await askJson(node, { method: "GET", path: `${PATH}/${encodeURIComponent(id)}` })];
}

async function findAll(node: NodeClient, ids: readonly string[]): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for (const id of ids) found.push(...(await find(node, id)));
  return found;
}

function verdict(distributions: readonly unknown[]): number {
  return distributions.every((told) => statusOf(told) === "completed") ? EXIT.ok : EXIT.failed;
}

/** A command's call, how it shows its result, and the node that it asks. */
interface Work {
  readonly call: Call;
  readonly printer: Printer;
  readonly node: NodeClient;
}

/** Until all are over, or a stop signal. */
async function follow({ call, printer, node }: Work, ids: readonly string[]): Promise<number> {
  const over = endOfWatching(call.context);
  const board = new Board(printer, call.context);
  const absence = new Absence(call);
  let last = await findAll(node, ids);
  while (true) {
    board.show(last);
    if (over.aborted || last.every(isOver)) break;
    await pauseUntil(over, PAUSE_MS);
    last = (await absence.bridge(() => findAll(node, ids))) ?? last;
  }
  if (printer.form === "json") printer.write(printer.jsonList(last));
  // Who stops watching has not asked how it ends.
  return last.every(isOver) ? verdict(last) : EXIT.ok;
}

async function send(work: Work, words: readonly string[]): Promise<number> {
  const { call, printer, node } = work;
  const { options } = call;
  const priority = choiceOf(options, PRIORITY_OPTION, PRIORITIES);
  const roots = await askRoots(node);
  const isHere = !options.has(URL_OPTION.name);
  const nodeIds = repeated(options, TO_OPTION);
  const order = {
    files: words.map((word) => findFile(word, roots, isHere)),
    ...(nodeIds.length === 0 ? {} : { scope: { node_list: { node_ids: nodeIds } } }),
    ...(priority === undefined ? {} : { priority }),
    ...(options.has(BUNDLE_OPTION.name) ? { bundle_id: options.get(BUNDLE_OPTION.name) } : {}),
  };
  const answer = await askJson(node, {
    method: "POST",
    path: PATH,
    body: JSON.stringify(order),
    ...(options.has(TIMEOUT_OPTION.name) ? {} : { timeoutMs: SEND_MS }),
  });
  const sent = distributionsIn(answer);
  const bundle = textField(sent[0], "bundle_id");
  if (options.has(WATCH_OPTION.name) && bundle !== undefined) return await follow(work, [bundle]);
  printer.write(printer.form === "text" ? viewList(printer, sent) : printer.jsonList(sent));
  return EXIT.ok;
}

async function list({ printer, node }: Work): Promise<number> {
  const all = distributionsIn(await askJson(node, { method: "GET", path: PATH }));
  printer.write(printer.form === "text" ? viewList(printer, all) : printer.jsonList(all));
  return EXIT.ok;
}

async function status({ printer, node }: Work, ids: readonly string[]): Promise<number> {
  const found = await findAll(node, ids);
  printer.write(printer.form === "text" ? viewNodes(printer, found) : printer.jsonList(found));
  return EXIT.ok;
}

/** Each by itself: one that can't be cancelled does not keep the others. */
async function cancel({ call, node }: Work, ids: readonly string[]): Promise<number> {
  const { stdout, stderr, program } = call.context;
  let failed = 0;
  for (const told of await findAll(node, ids)) {
    const id = safeText(textField(told, "id") ?? "?");
    const path = `${PATH}/${encodeURIComponent(textField(told, "id") ?? "")}`;
    const answer = await node.ask({ method: "DELETE", path });
    if (answer.status === 200) {
      const wasOpen = bodyField(answer.body, "cancelled") === true;
      stdout.write(wasOpen ? `cancelled ${id}\n` : `${id} was over already\n`);
    } else {
      failed += 1;
      stderr.write(`${program}: ${id}: ${safeText(refusalOf(answer))}\n`);
    }
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

async function attach(call: Call): Promise<number> {
  const [action = "list", ...words] = call.words;
  if (action === "list" && words.length > 0) {
    throw new Fault("invalid_argument", `attach list can't use ${JSON.stringify(words[0])}`);
  }
  if (action !== "list" && words.length === 0) {
    const wanted = action === "send" ? "FILE…" : "ID…";
    throw new Fault(
      "invalid_argument",
      `attach ${action} needs more; usage: attach ${action} ${wanted}`,
    );
  }
  if (action !== "send") {
    const others = [TO_OPTION, PRIORITY_OPTION, BUNDLE_OPTION, WATCH_OPTION];
    refuseOptions(call.options, others, { owner: "attach send" });
  }
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const work = { call, printer, node };
    switch (action) {
      case "send":
        return await send(work, words);
      case "status":
        return await status(work, words);
      case "watch":
        return await follow(work, words);
      case "cancel":
        return await cancel(work, words);
      default:
        return await list(work);
    }
  });
}

export const attachCommand: Command = {
  name: "attach",
  sentence: "Send files to other nodes, list and follow what is on its way, cancel it.",
  usage:
    "[list | send FILE… | status ID… | watch ID… | cancel ID…] [--to NODE]… [--priority PRIORITY] [--watch] [--json | --ndjson] [settings…]",
  wordsMin: 0,
  wordsMax: WORDS_MAX,
  choices: ACTIONS,
  options: [
    TO_OPTION,
    PRIORITY_OPTION,
    BUNDLE_OPTION,
    WATCH_OPTION,
    ...LIST_OPTIONS,
    ...NODE_OPTIONS,
  ],
  takesSettings: true,
  examples: [
    "attach send /srv/maps/north.mbtiles --watch",
    "attach send maps:north.mbtiles --to node-7 --priority critical",
    "attach list",
    "attach watch maps-1",
    "attach cancel 0d2f4c1e-7a55-4f0c-9a43-2f2c8f3f6a10",
  ],
  run: attach,
};
