// `deleted`, `orphans`, `restore` and `discard`: what the node on this machine keeps beside its documents.
import { Fault } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { field, isGood, refusalOf } from "./answer.ts";
import type { OptionRow } from "./arguments.ts";
import { BROKER_SETTING_NAMES, type BrokerMethod, type BrokerSettings } from "./broker-client.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { type Context, EXIT } from "./context.ts";
import { askNode, TIMEOUT_OPTION } from "./node-call.ts";

const LIST_PATH = "/api/v1/set-aside";
const PAGE_ENTRIES = 500;

/** One line of a list. */
interface Entry {
  readonly id: number;
  readonly collection: string;
  readonly documentId: string;
  readonly atMs: number;
  readonly bytes: number;
}

interface Page {
  readonly entries: readonly Entry[];
  readonly next: number | undefined;
}

function toEntry(value: unknown): Entry {
  return {
    id: Number(field(value, "id")),
    collection: String(field(value, "collection")),
    documentId: String(field(value, "doc_id")),
    atMs: Number(field(value, "at_ms")),
    bytes: Number(field(value, "bytes") ?? 0),
  };
}

/** Fault `wire_invalid` for an answer that is none of a node's. */
function parsePage(body: string): Page {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (cause) {
    throw new Fault("wire_invalid", "the answer of the broker is not JSON", {}, cause);
  }
  const entries = field(parsed, "entries");
  if (!Array.isArray(entries)) {
    throw new Fault("wire_invalid", "the broker's answer has no entries; is it an older version?");
  }
  const next = field(parsed, "next");
  return { entries: entries.map(toEntry), next: typeof next === "number" ? next : undefined };
}

function tell({ program, stderr }: Context, sentence: string): void {
  stderr.write(`${program}: ${sentence}\n`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: peers choose the ids, and these must not reach a terminal.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function printLine({ id, collection, documentId, atMs, bytes }: Entry): string {
  const at = new Date(atMs).toISOString();
  const name = `${collection}/${documentId}`.replace(UNSAFE, "\ufffd");
  return `${id}\t${at}\t${bytes}\t${name}\n`;
}

async function list(call: Call, why: "deleted" | "orphan"): Promise<number> {
  const { context } = call;
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  for (let after: number | undefined = 0; after !== undefined; ) {
    const path = `${LIST_PATH}?why=${why}&limit=${PAGE_ENTRIES}&after=${after}`;
    const answer = await askNode(call, picked.settings, { method: "GET", path });
    if (!isGood(answer)) {
      tell(context, refusalOf(answer));
      return EXIT.failed;
    }
    const { entries, next } = parsePage(answer.body);
    for (const entry of entries) context.stdout.write(printLine(entry));
    after = next;
  }
  return EXIT.ok;
}

/** Numbers as they stand in the first column of a list. */
function readNumbers(words: readonly string[]): readonly string[] {
  const wrong = words.find((word) => !/^[0-9]{1,15}$/.test(word));
  if (wrong === undefined) return words;
  throw new Fault("invalid_argument", `${wrong} is not the number of an entry`);
}

/** Each number by itself: one that fails does not keep the others. */
async function change(
  call: Call,
  { method, path, done }: { method: BrokerMethod; path: (id: string) => string; done: string },
): Promise<number> {
  const { context } = call;
  const ids = readNumbers(call.words);
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  const settings: BrokerSettings = picked.settings;
  let failed = 0;
  for (const id of ids) {
    const answer = await askNode(call, settings, { method, path: path(id) });
    if (isGood(answer)) context.stdout.write(`${done} ${id}\n`);
    else {
      failed += 1;
      tell(context, `${id}: ${refusalOf(answer)}`);
    }
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

const OPTIONS: readonly OptionRow[] = [TIMEOUT_OPTION];
const NUMBERS_MAX = 1000;

function listCommand(
  name: string,
  why: "deleted" | "orphan",
  { sentence }: { sentence: string },
): Command {
  return {
    name,
    sentence,
    usage: "[--timeout SECONDS] [settings…]",
    wordsMin: 0,
    wordsMax: 0,
    options: OPTIONS,
    takesSettings: true,
    examples: [name],
    run: (call) => list(call, why),
  };
}

export const deletedCommand = listCommand("deleted", "deleted", {
  sentence: "List deleted documents that can be restored: number, time, bytes, document.",
});

export const orphansCommand = listCommand("orphans", "orphan", {
  sentence:
    "List documents set aside because this node was away for too long: number, time, bytes, document.",
});

export const restoreCommand: Command = {
  name: "restore",
  sentence: "Bring back what `deleted` or `orphans` list, by its number.",
  usage: "NUMBER… [--timeout SECONDS] [settings…]",
  wordsMin: 1,
  wordsMax: NUMBERS_MAX,
  options: OPTIONS,
  takesSettings: true,
  examples: ["restore 17", "restore 17 18 19"],
  run: (call) =>
    change(call, { method: "POST", path: (id) => `${LIST_PATH}/${id}/restore`, done: "restored" }),
};

export const discardCommand: Command = {
  name: "discard",
  sentence: "Give up what `deleted` or `orphans` list, by its number, for good.",
  usage: "NUMBER… [--timeout SECONDS] [settings…]",
  wordsMin: 1,
  wordsMax: NUMBERS_MAX,
  options: OPTIONS,
  takesSettings: true,
  examples: ["discard 17"],
  run: (call) =>
    change(call, { method: "DELETE", path: (id) => `${LIST_PATH}/${id}`, done: "discarded" }),
};
