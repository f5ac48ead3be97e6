// `health`, `get`, `put`, `delete`: one request to the broker of a node, by default of the one on this machine.
import { Fault } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { bodyField, isGood } from "./answer.ts";
import { askBroker, BROKER_SETTING_NAMES, type BrokerMethod } from "./broker-client.ts";
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
  const isWell = isReady
    ? bodyField(answer.body, "ready") === true
    : bodyField(answer.body, "status") === "healthy";
  return answer.status === 200 && isWell ? EXIT.ok : EXIT.failed;
}

/** One request; what is answered is printed, whatever it is. */
async function request(call: Call, method: BrokerMethod): Promise<number> {
  const { context, words } = call;
  const [path = "", body] = words;
  if (!/^\/[!-~]*$/.test(path)) {
    throw new Fault("invalid_argument", "PATH must begin with a slash and have no blanks");
  }
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  const answer = await askNode(call, picked.settings, { method, path, body });
  printBody(context, answer.body);
  if (isGood(answer)) return EXIT.ok;
  context.stderr.write(`${context.program}: ${path} was answered with status ${answer.status}\n`);
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
  run: (call) => request(call, "GET"),
};

export const putCommand: Command = {
  name: "put",
  sentence: "Write JSON to a path of the broker of the node on this machine, or of --url.",
  usage: "PATH JSON [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 2,
  wordsMax: 2,
  options: [URL_OPTION, TIMEOUT_OPTION],
  takesSettings: true,
  examples: [`put /api/v1/documents/tracks/t1 '{"lat": 47.37, "lng": 8.54}'`],
  run: (call) => request(call, "PUT"),
};

export const deleteCommand: Command = {
  name: "delete",
  sentence: "Delete at a path of the broker of the node on this machine, or of --url.",
  usage: "PATH [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [URL_OPTION, TIMEOUT_OPTION],
  takesSettings: true,
  examples: ["delete /api/v1/documents/tracks/t1"],
  run: (call) => request(call, "DELETE"),
};
