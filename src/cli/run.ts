// `run`: the daemon. Opens the log, starts the node, and waits for a stop signal or its end.
import { systemClock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog, openLog, parseLogFilter } from "../base/log.ts";
import { openNotifier } from "../base/notify-socket.ts";
import { configOf } from "../config/load.ts";
import type { Config } from "../config/settings.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { type Context, EXIT, type Output } from "./context.ts";

const log = getLog("peat_mesh_node");

/** A started node. */
export interface Running {
  /** Resolves when the node ends by itself, with what ended it, and after stop(). */
  readonly ended: Promise<Fault | Error | undefined>;
  stop(): Promise<void>;
}

/** How long a stop signal waits for a start that is still under way. */
const START_AFTER_SIGNAL_MS = 1500;

/** A log that nobody reads is dropped from here on, and told of once somebody does. */
export const LOG_PENDING_BYTES_MAX = 8 * 1024 * 1024;

/** Writes log lines; while too much waits to be read, drops them and counts. */
export function logWriter(stdout: Output): (line: string) => void {
  let droppedLines = 0;
  return (line) => {
    if (stdout.pendingBytes > LOG_PENDING_BYTES_MAX) {
      droppedLines += 1;
      return;
    }
    stdout.write(line);
    if (droppedLines === 0) return;
    const lines = droppedLines;
    droppedLines = 0;
    queueMicrotask(() => log.warn("Log lines were dropped while nobody read them", { lines }));
  };
}

function openDaemonLog(config: Config, { stdout, environment }: Context): void {
  openLog({
    filter: parseLogFilter(config.logFilter),
    format: config.logFormat,
    colour: stdout.isTerminal && (environment["NO_COLOR"] ?? "") === "",
    write: logWriter(stdout),
  });
}

function logStart(config: Config): void {
  log.info(`Starting ${config.program}`, {
    hostname: config.nodeName,
    discovery: config.discovery.join(",") || "none",
    broker_port: config.brokerPort,
    iroh_bind_port: config.irohBindPort,
  });
}

/** One line that says what ended the process, and the exit code that says it again. */
function logEnd(text: string, error: unknown): number {
  if (error instanceof Fault) {
    log.error(text, { code: error.code, reason: messageOf(error) });
    return error.exitCode;
  }
  const stack = error instanceof Error && error.stack !== undefined ? error.stack : String(error);
  log.error(text, { code: "bug", reason: messageOf(error), stack });
  return EXIT.bug;
}

type Outcome =
  | { readonly kind: "signal" }
  | { readonly kind: "started"; readonly node: Running }
  | { readonly kind: "ended"; readonly code: number };

async function stop(node: Running | undefined): Promise<number> {
  log.info("Shutting down...");
  try {
    await node?.stop();
    return EXIT.ok;
  } catch (error) {
    return logEnd("Stop failed", error);
  }
}

/** Runs a node until a signal or its own end; resolves with the exit code. */
export async function runNode(
  context: Context,
  config: Config,
  start: (config: Config) => Promise<Running>,
): Promise<number> {
  const signalled = new Promise<Outcome>((resolve) => {
    context.onStopSignal((signal) => {
      log.info(`Received ${signal}`);
      resolve({ kind: "signal" });
    });
  });
  const started = start(config).then(
    (node): Outcome => ({ kind: "started", node }),
    (error): Outcome => ({ kind: "ended", code: logEnd("Start failed", error) }),
  );
  const first = await Promise.race([started, signalled]);
  if (first.kind === "ended") return first.code;
  if (first.kind === "signal") {
    const late = await within(systemClock, START_AFTER_SIGNAL_MS, started, undefined);
    if (late === undefined) log.warn("Start was still under way and was left behind");
    const code = await stop(late?.kind === "started" ? late.node : undefined);
    log.info(`${config.program} stopped`);
    return code;
  }
  const { node } = first;
  const ended = node.ended.then((error): Outcome => {
    return { kind: "ended", code: error === undefined ? EXIT.ok : logEnd("Node failed", error) };
  });
  const next = await Promise.race([signalled, ended]);
  const code = next.kind === "signal" ? await stop(node) : EXIT.ok;
  log.info(`${config.program} stopped`);
  return next.kind === "ended" ? next.code : code;
}

async function run(call: Call): Promise<number> {
  const { context } = call;
  const loaded = call.settings();
  const read = configOf(loaded);
  if (!read.ok) return refuse(context, read);
  const config = read.settings;
  openDaemonLog(config, context);
  logStart(config);
  for (const { text } of loaded.warnings) log.warn(text);
  const notifier = openNotifier(context.environment, process.pid);
  // Loaded only now: the other commands do without the network's native library and the store. A stop signal is
  // heard meanwhile.
  return runNode(context, config, async () => {
    const { startApp } = await import("../app.ts");
    return startApp(config, notifier);
  });
}

export const runCommand: Command = {
  name: "run",
  sentence: "Run the node until it is stopped; the default.",
  usage: "[settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [],
  takesSettings: true,
  examples: [
    "run --discovery mdns --data-dir ./data --formation-secret-file ./secret",
    "run --config /etc/peat-sidecar/config.yaml",
  ],
  run,
};
