// One question to a node, as commands ask it: settings, address, token, deadline.
import { Fault } from "../base/faults.ts";
import { Secret } from "../base/secret.ts";
import type { OptionRow } from "./arguments.ts";
import {
  askBroker,
  type BrokerAnswer,
  type BrokerCall,
  type BrokerPlace,
  type BrokerSettings,
  ownBroker,
  parseBrokerUrl,
} from "./broker-client.ts";
import type { Call } from "./command.ts";
import type { Context } from "./context.ts";

export const TIMEOUT_OPTION: OptionRow = {
  name: "timeout",
  value: "SECONDS",
  help: "How long to wait for the answer.",
};

export const URL_OPTION: OptionRow = {
  name: "url",
  value: "URL",
  help: "Ask the broker at this address, and not the one that the settings describe.",
};

/** The broker that the option `name` gives, else the one of the node on this machine. */
export function brokerOf(
  call: Call,
  settings: BrokerSettings,
  { name }: { name: string } = URL_OPTION,
): BrokerPlace {
  const url = call.options.get(name);
  return url === undefined ? ownBroker(settings) : parseBrokerUrl(url, { name });
}

export function timeoutMs(call: Call, fallbackSecs: number): number {
  const text = call.options.get("timeout");
  if (text === undefined) return fallbackSecs * 1000;
  const seconds = /^[0-9]+(?:\.[0-9]+)?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= 3600) return seconds * 1000;
  throw new Fault("invalid_argument", "--timeout must be seconds, more than 0 and at most 3600");
}

/** The configured token, else, for the node on this machine, the one that it made for its users. */
export function tokenFor(
  call: Call,
  settings: BrokerSettings,
  { name }: { name: string } = URL_OPTION,
): Secret<string> | undefined {
  if (settings.apiToken !== undefined) return settings.apiToken;
  // The token of the node on this machine is nobody else's business.
  if (call.options.has(name)) return undefined;
  const { host } = call.context;
  try {
    const token = host.readText(`${settings.runtimeDir}/token`).trim();
    return /^[!-~]+$/.test(token) ? new Secret(token) : undefined;
  } catch {
    // No node has made one, or this user may not read it: what is open can be read without.
    return undefined;
  }
}

/** Fault `not_ready` when nobody answers in time. */
export function askNode(
  call: Call,
  settings: BrokerSettings,
  request: Pick<BrokerCall, "method" | "path" | "body">,
): Promise<BrokerAnswer> {
  const { context } = call;
  return askBroker({
    ...request,
    place: brokerOf(call, settings),
    token: tokenFor(call, settings),
    timeoutMs: timeoutMs(call, 30),
    readText: context.host.readText,
  });
}

/** The answer with a line's end, unless it has one. */
export function printBody({ stdout }: Context, body: string): void {
  if (body !== "") stdout.write(body.endsWith("\n") ? body : `${body}\n`);
}
