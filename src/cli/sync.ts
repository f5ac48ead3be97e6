// `sync`: whether the node exchanges documents with its peers, and the switch of that.
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { field } from "./answer.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";

const PATH = `${API}/sync`;
const ACTIONS = ["status", "start", "stop"] as const;

async function ask(node: NodeClient, action: string | undefined): Promise<unknown> {
  if (action === undefined || action === "status") {
    return await askJson(node, { method: "GET", path: PATH });
  }
  const body = JSON.stringify({ running: action === "start" });
  return await askJson(node, { method: "PUT", path: PATH, body });
}

function view(call: Call, printer: Printer, isRunning: boolean): string {
  if (isRunning) return `sync is ${printer.paint("running", "good")}\n`;
  const stopped = printer.paint("stopped", "warning");
  const { program } = call.context;
  return `sync is ${stopped}: no peer is connected until ${program} sync start, or a restart\n`;
}

async function sync(call: Call): Promise<number> {
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const answer = await ask(node, call.words[0]);
    const isRunning = field(answer, "running");
    if (typeof isRunning !== "boolean") {
      throw new Fault("wire_invalid", "the answer of the node does not tell whether sync runs");
    }
    const isText = printer.form === "text";
    printer.write(isText ? view(call, printer, isRunning) : printer.json(answer));
    return EXIT.ok;
  });
}

export const syncCommand: Command = {
  name: "sync",
  sentence:
    "Tell whether the node exchanges documents with its peers, stop that, or start it again.",
  usage: "[status|start|stop] [--json] [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 0,
  wordsMax: 1,
  choices: ACTIONS,
  options: [...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["sync", "sync stop", "sync start"],
  run: sync,
};
