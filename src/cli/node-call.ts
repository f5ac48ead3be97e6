// Questions to a node, as commands ask them: by its control socket or over TCP; address, token, deadline.
import { Agent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { controlSocketPath } from "../access/control-socket.ts";
import { probeSocket } from "../access/unix-socket.ts";
import { Fault, systemCode } from "../base/faults.ts";
import { Secret } from "../base/secret.ts";
import { RUNTIME_DIRECTORY } from "../config/defaults.ts";
import { fileProblem } from "../config/host.ts";
import { millisecondsOf, type OptionRow } from "./arguments.ts";
import {
  askBroker,
  type BrokerAnswer,
  type BrokerCall,
  type BrokerPlace,
  type BrokerSettings,
  controlledBroker,
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

const TOKEN_FILE_OPTION: OptionRow = {
  name: "token-file",
  value: "FILE",
  help: "Send the token in this file.",
};

const TOKEN_OPTION: OptionRow = {
  name: "token",
  value: "TOKEN",
  help: "Send this token. Others on this machine can read a command line: --token-file or PEAT_API_TOKEN keep it to yourself.",
};

/** Which node a command asks, and how. */
export const NODE_OPTIONS: readonly OptionRow[] = [
  URL_OPTION,
  TOKEN_FILE_OPTION,
  TOKEN_OPTION,
  TIMEOUT_OPTION,
];

/** The broker that the option `name` gives, else the one of the node on this machine. */
export function brokerOf(
  call: Call,
  settings: BrokerSettings,
  { name }: { name: string } = URL_OPTION,
): BrokerPlace {
  const url = call.options.get(name);
  return url === undefined ? ownBroker(settings) : parseBrokerUrl(url, { name });
}

const TIMEOUT_SECS_MAX = 3600;

export function timeoutMs(call: Call, fallbackSecs: number): number {
  return millisecondsOf(call.options, TIMEOUT_OPTION, TIMEOUT_SECS_MAX) ?? fallbackSecs * 1000;
}

/** The token that an option brings: from a file, or from the command line itself. */
function givenToken(call: Call): Secret<string> | undefined {
  const path = call.options.get(TOKEN_FILE_OPTION.name);
  const word = call.options.get(TOKEN_OPTION.name);
  if (path !== undefined && word !== undefined) {
    throw new Fault("invalid_argument", "--token and --token-file exclude each other; choose one");
  }
  const text = path === undefined ? word : readToken(call, path);
  if (text === undefined) return undefined;
  if (/^[!-~]+$/.test(text)) return new Secret(text);
  throw new Fault("invalid_argument", "a token consists of visible ASCII characters");
}

function readToken({ context }: Call, path: string): string {
  try {
    return context.host.readText(path).trim();
  } catch (error) {
    const sentence = `--${TOKEN_FILE_OPTION.name}: ${fileProblem(path, error)}`;
    throw new Fault("invalid_argument", sentence, {}, error);
  }
}

/** What options or settings say, else, for the node on this machine, the token that it made for its users. */
export function tokenFor(
  call: Call,
  settings: BrokerSettings,
  { name }: { name: string } = URL_OPTION,
): Secret<string> | undefined {
  const given = givenToken(call) ?? settings.apiToken;
  if (given !== undefined) return given;
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

/** Flags that name the broker of one node among several on this machine. */
const PLACE_FLAGS = ["broker-addr", "broker-port"];

interface Control {
  readonly path: string;
  /** False: somebody is there, but this user is neither owner nor of the group. */
  readonly isOpen: boolean;
}

/**
 * Where nothing says otherwise, the service's runtime directory, too: its group may ask the node there, and not write,
 * so that for its members the directory's default is another.
 */
function runtimeDirs(call: Call, { runtimeDir }: BrokerSettings): readonly string[] {
  const { origins } = call.settings();
  const isSaid = [origins.runtimeDir, origins.dataDir].some(
    (origin) => origin?.from === "flag" || origin?.from === "environment",
  );
  return isSaid ? [runtimeDir] : [...new Set([runtimeDir, RUNTIME_DIRECTORY])];
}

/** The control socket, if a node may be there. */
async function findControl(call: Call, settings: BrokerSettings): Promise<Control | undefined> {
  const isElsewhere = call.options.has(URL_OPTION.name);
  if (isElsewhere || PLACE_FLAGS.some((flag) => call.flags.has(flag))) return undefined;
  let forbidden: Control | undefined;
  for (const dir of runtimeDirs(call, settings)) {
    const path = controlSocketPath(dir);
    const answer = await probeSocket(path);
    if (answer === "answered") return { path, isOpen: true };
    if (systemCode(answer) === "EACCES") forbidden ??= { path, isOpen: false };
  }
  return forbidden;
}

/** Connections to a node at a time: as many requests as share a commit there, as imports send them. */
const CONNECTIONS_MAX = 64;

/** `timeoutMs` in place of that of the options. */
export type NodeRequest = Pick<BrokerCall, "method" | "path" | "body" | "headers"> &
  Partial<Pick<BrokerCall, "timeoutMs">>;

/** A node that may be asked several things: connections stay open between them. */
export class NodeClient implements Disposable {
  readonly place: BrokerPlace;
  readonly #call: Pick<BrokerCall, "place" | "token" | "timeoutMs" | "readText" | "agent">;
  readonly #agent: Agent;
  /** Told once, when the node wants a token. */
  #hint: (() => void) | undefined;

  private constructor(call: Call, place: BrokerPlace, token: Secret<string> | undefined) {
    const { readText } = call.context.host;
    const isTls = place.url.protocol === "https:";
    const pool = { keepAlive: true, maxSockets: CONNECTIONS_MAX };
    this.#agent = isTls ? new TlsAgent(pool) : new Agent(pool);
    this.place = place;
    const limitMs = timeoutMs(call, 30);
    this.#call = { place, token, timeoutMs: limitMs, readText, agent: this.#agent };
  }

  /**
   * The broker at --url; else the node on this machine: by its control socket, which needs no token, or, where there
   * is none for this user, by its broker as the settings say.
   */
  static async open(call: Call, settings: BrokerSettings): Promise<NodeClient> {
    const control = await findControl(call, settings);
    if (control?.isOpen === true) {
      return new NodeClient(call, controlledBroker(control.path), undefined);
    }
    const node = new NodeClient(call, brokerOf(call, settings), tokenFor(call, settings));
    if (control === undefined) return node;
    const { program, stderr } = call.context;
    node.#hint = () =>
      stderr.write(
        `${program}: ${control.path} is for its owner and group: be one of them, or give --${TOKEN_FILE_OPTION.name}\n`,
      );
    return node;
  }

  /** Fault `not_ready` when nobody answers in time. */
  async ask(request: NodeRequest): Promise<BrokerAnswer> {
    const answer = await askBroker({ ...this.#call, ...request });
    if (answer.status === 401) {
      this.#hint?.();
      this.#hint = undefined;
    }
    return answer;
  }

  /** A WebSocket to the node. Authority and name of a certificate from the settings are that file's alone. */
  webSocket(path: string): WebSocket {
    const { url, certificate, socketPath } = this.place;
    const { token, readText } = this.#call;
    const headers: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token.expose()}` };
    const tls =
      certificate === undefined
        ? {}
        : { tls: { ca: readText(certificate), checkServerIdentity: () => undefined } };
    const base = `${url.origin.replace(/^http/, "ws")}${url.pathname.replace(/\/$/, "")}`;
    const address = socketPath === undefined ? `${base}${path}` : `ws+unix://${socketPath}:${path}`;
    return new WebSocket(address, { headers, ...tls });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** The answer with a line's end, unless it has one. */
export function printBody({ stdout }: Context, body: string): void {
  if (body !== "") stdout.write(body.endsWith("\n") ? body : `${body}\n`);
}
