// `probe-sync`: proves that a document written at one broker arrives at another, and leaves nothing behind.
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { bodyField, field, isGood, refusalOf } from "./answer.ts";
import type { OptionRow } from "./arguments.ts";
import {
  askBroker,
  BROKER_SETTING_NAMES,
  type BrokerAnswer,
  type BrokerCall,
  type BrokerSettings,
} from "./broker-client.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import { brokerOf, TIMEOUT_OPTION, timeoutMs, tokenFor } from "./node-call.ts";

/** The collection of the probes' documents; each probe has one of its own and deletes it. */
const COLLECTION = "peat-probe";
const WAIT_SECS = 30;
/** No single request may use up the time of all. */
const REQUEST_MS_MAX = 5_000;
const PAUSE_MS = 50;

const WRITE_OPTION: OptionRow = {
  name: "write",
  value: "URL",
  help: "Broker to write at; by default the one of the node on this machine.",
};
const READ_OPTION: OptionRow = {
  name: "read",
  value: "URL",
  help: "Broker to read at; by default the one of the node on this machine.",
};

type Request = Pick<BrokerCall, "method" | "path" | "body">;

/** A broker that is asked until the probe's time is over. */
class Party {
  /** For sentences. */
  readonly origin: string;
  readonly #call: Omit<BrokerCall, "method" | "path" | "timeoutMs">;
  readonly #endMs: number;

  constructor(call: Call, settings: BrokerSettings, option: OptionRow, endMs: number) {
    const { url } = brokerOf(call, settings, option);
    // The nodes of one installation have one certificate.
    const certificate = url.protocol === "https:" ? settings.tlsCert : undefined;
    const token = tokenFor(call, settings, option);
    this.origin = url.origin;
    this.#call = { place: { url, certificate }, token, readText: call.context.host.readText };
    this.#endMs = endMs;
  }

  ask(request: Request, leftMs = REQUEST_MS_MAX): Promise<BrokerAnswer> {
    const limitMs = Math.max(1, Math.min(Math.ceil(leftMs), REQUEST_MS_MAX));
    return askBroker({ ...this.#call, ...request, timeoutMs: limitMs });
  }

  /** Asks until `isDone`; a broker that can't be reached or is not ready has until the end to become so. */
  async askUntil(request: Request, isDone: (answer: BrokerAnswer) => boolean): Promise<void> {
    let last = "";
    do {
      try {
        const answer = await this.ask(request, this.#endMs - performance.now());
        if (isDone(answer)) return;
        last = refusalOf(answer);
        // What is refused now is refused later: only a missing document and an unready node change.
        if (!isGood(answer) && answer.status !== 404 && answer.status !== 503) break;
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== "not_ready") throw error;
        // A try that the end itself cut off says less than the one before it.
        if (last === "" || performance.now() < this.#endMs) last = error.message;
      }
      await pause(PAUSE_MS);
    } while (performance.now() < this.#endMs);
    throw new Fault("not_ready", last);
  }
}

/** Runs `step`; what it says of the world becomes the end of a sentence. */
async function told<T>(what: string, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.code, `${what}: ${error.message}`, {}, error);
  }
}

async function probe(call: Call, writer: Party, reader: Party): Promise<number> {
  const { context } = call;
  const nonce = crypto.randomUUID();
  const path = `/api/v1/documents/${COLLECTION}/${nonce}`;
  const body = JSON.stringify({ nonce });
  const startedMs = performance.now();
  await told(
    `could not write at ${writer.origin}`,
    writer.askUntil({ method: "PUT", path, body }, isGood),
  );
  const writtenMs = performance.now();
  try {
    const isThere = (answer: BrokerAnswer) =>
      isGood(answer) && field(bodyField(answer.body, "document"), "nonce") === nonce;
    const what = `written at ${writer.origin}, not read at ${reader.origin}`;
    await told(what, reader.askUntil({ method: "GET", path }, isThere));
    const arrivedMs = Math.round(performance.now() - writtenMs);
    const wroteMs = Math.round(writtenMs - startedMs);
    context.stdout.write(
      `written at ${writer.origin} in ${wroteMs} ms, read at ${reader.origin} ${arrivedMs} ms later\n`,
    );
    return EXIT.ok;
  } finally {
    await clear(call, writer, path);
  }
}

/** A probe's result does not depend on its cleaning up, but what it left is told. */
async function clear({ context }: Call, writer: Party, path: string): Promise<void> {
  try {
    const answer = await writer.ask({ method: "DELETE", path });
    if (isGood(answer)) return;
    context.stderr.write(`${context.program}: ${path} was not deleted: ${refusalOf(answer)}\n`);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    context.stderr.write(`${context.program}: ${path} was not deleted: ${error.message}\n`);
  }
}

async function probeSync(call: Call): Promise<number> {
  const { context, options } = call;
  if (!options.has(WRITE_OPTION.name) && !options.has(READ_OPTION.name)) {
    throw new Fault("invalid_argument", "probe-sync needs --write, --read or both");
  }
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(context, picked);
  const endMs = performance.now() + timeoutMs(call, WAIT_SECS);
  const writer = new Party(call, picked.settings, WRITE_OPTION, endMs);
  const reader = new Party(call, picked.settings, READ_OPTION, endMs);
  try {
    return await probe(call, writer, reader);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "not_ready") throw error;
    context.stderr.write(`${context.program}: ${error.message}\n`);
    return EXIT.failed;
  }
}

export const probeSyncCommand: Command = {
  name: "probe-sync",
  sentence: "Write a document at one broker and wait until another has it; then delete it.",
  usage: "[--write URL] [--read URL] [--timeout SECONDS] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [
    WRITE_OPTION,
    READ_OPTION,
    { ...TIMEOUT_OPTION, help: "How long it may take in all (30)." },
  ],
  takesSettings: true,
  examples: [
    "probe-sync --read http://10.0.0.7:8081",
    "probe-sync --write http://peat-mesh-0.peat-mesh:8081 --read http://peat-mesh-2.peat-mesh:8081",
  ],
  run: probeSync,
};
