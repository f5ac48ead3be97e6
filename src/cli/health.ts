// `health`: one request to the broker of a node, by default of the one on this machine.
import { Fault } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { field } from "./answer.ts";
import { askBroker, BROKER_SETTING_NAMES } from "./broker-client.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import { parseExact, printExact } from "./exact-json.ts";
import { brokerOf, TIMEOUT_OPTION, timeoutMs, URL_OPTION } from "./node-call.ts";

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
  const told = readAnswer(answer.body);
  if (told !== undefined) context.stdout.write(`${printExact(told)}\n`);
  const isWell = isReady ? field(told, "ready") === true : field(told, "status") === "healthy";
  if (answer.status === 200 && isWell) return EXIT.ok;
  const what =
    told === undefined
      ? "does not answer as a node does"
      : isReady
        ? "is not ready"
        : "is not healthy";
  context.stderr.write(`${context.program}: ${ask.place.url.origin} ${what}\n`);
  return EXIT.failed;
}

/** Undefined for what no node says. */
function readAnswer(body: string): unknown {
  try {
    const answer = parseExact(body, { from: "the answer" });
    return typeof answer === "object" && answer !== null ? answer : undefined;
  } catch {
    // Something else answers there.
    return undefined;
  }
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
