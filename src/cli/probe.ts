// `health` and `get`: questions to the broker of a node, by default of the one on this machine.
import { Fault } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { askBroker, BROKER_SETTING_NAMES } from "./broker-client.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import {
  askNode,
  brokerOf,
  printBody,
  TIMEOUT_OPTION,
  timeoutMs,
  URL_OPTION,
} from "./node-call.ts";

function isYes(body: string, key: string, wanted: unknown): boolean {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null) return false;
    return Object.entries(parsed).some(([name, value]) => name === key && value === wanted);
  } catch {
    // Something else listens there; its answer is printed all the same.
    return false;
  }
}

async function health(call: Call): Promise<number> {
  const { context, options } = call;
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  const isReady = options.has("ready");
  const ask = {
    method: "GET" as const,
    place: brokerOf(call, picked.settings),
    path: isReady ? "/api/v1/ready" : "/api/v1/health",
    // The probes' routes need no token, and a probe has no business with one.
    token: undefined,
    timeoutMs: timeoutMs(call, 3),
    readText: context.host.readText,
  };
  let answer: Awaited<ReturnType<typeof askBroker>>;
  try {
    answer = await askBroker(ask);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "not_ready") throw error;
    context.stderr.write(`${context.program}: ${error.message}\n`);
    return EXIT.failed;
  }
  printBody(context, answer.body);
  const isGood = isReady
    ? isYes(answer.body, "ready", true)
    : isYes(answer.body, "status", "healthy");
  return answer.status === 200 && isGood ? EXIT.ok : EXIT.failed;
}

async function get(call: Call): Promise<number> {
  const { context, words } = call;
  const path = words[0] ?? "";
  if (!/^\/[!-~]*$/.test(path)) {
    throw new Fault("invalid_argument", "PATH must begin with a slash and have no blanks");
  }
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  const { status, body } = await askNode(call, picked.settings, { method: "GET", path });
  printBody(context, body);
  if (status >= 200 && status < 300) return EXIT.ok;
  context.stderr.write(`${context.program}: ${path} was answered with status ${status}\n`);
  return EXIT.failed;
}

export const healthCommand: Command = {
  name: "health",
  sentence: "Ask the node on this machine, or the one at --url, whether it is healthy; for probes.",
  usage: "[--ready] [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [
    { name: "ready", help: "Ask whether it is ready instead." },
    URL_OPTION,
    TIMEOUT_OPTION,
  ],
  takesSettings: true,
  examples: ["health", "health --ready --timeout 1"],
  run: health,
};

export const getCommand: Command = {
  name: "get",
  sentence: "Print what the broker of the node on this machine, or of --url, answers for a path.",
  usage: "PATH [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [URL_OPTION, TIMEOUT_OPTION],
  takesSettings: true,
  examples: [
    "get /api/v1/health",
    "get /api/v1/documents/tracks",
    "get /api/v1/node --url http://10.0.0.7:8081",
  ],
  run: get,
};
