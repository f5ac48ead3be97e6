// `run`: the daemon. Opens the log, starts the node, and waits for a stop signal or its end.
import { systemClock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog, openLog, parseLogFilter } from "../base/log.ts";
import { openNotifier } from "../base/notify-socket.ts";
import { changesForRestart } from "../config/changes.ts";
import { answerHandover, clearHandover, withHandedOver } from "../config/handover.ts";
import { configOf } from "../config/load.ts";
import type { Config } from "../config/settings.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { type Context, EXIT, type Output } from "./context.ts";

const log = getLog("peat_mesh_node");

/** A started node. */
export interface Running {
  /** Resolves when the node ends by itself, with what ended it, and after stop(). */
  readonly ended: Promise<Fault | Error | undefined>;
  /** Takes settings anew; `read` gives them, or nothing when they are wrong. */
  reload(read: () => Config | undefined): Promise<void>;
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

/** Reloads one after the other, beginning when the node has started; one that waits stands for all that come. */
function reloadOnSignal(context: Context, started: Promise<Outcome>, reread: Reread): void {
  let last: Promise<unknown> = started;
  let isWaiting = false;
  const reload = async () => {
    isWaiting = false;
    const outcome = await started;
    if (outcome.kind !== "started") return;
    let isTaken = false;
    const read = () => {
      const settings = reread.read();
      isTaken = settings !== undefined;
      return settings;
    };
    try {
      await outcome.node.reload(read);
      if (isTaken) log.info("Settings reloaded");
      reread.done();
    } catch (error) {
      reread.done(error);
    }
  };
  context.onReloadSignal(() => {
    log.info("Received SIGHUP");
    if (isWaiting) return;
    isWaiting = true;
    last = last.then(reload);
  });
}

/** Runs a node until a signal or its own end; resolves with the exit code. */
export async function runNode(
  context: Context,
  config: Config,
  start: (config: Config) => Promise<Running>,
  reread: Reread,
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
  reloadOnSignal(context, started, reread);
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

/** Settings that are read again. */
export interface Reread {
  /** Nothing when they are wrong, which has then been told. */
  read(): Config | undefined;
  /** They have been taken, or never will be: `failure` says why, if it is not for what read() told. */
  done(failure?: unknown): void;
}

/** Reads as the start did, from an environment that may have been handed over since. */
function rereader(call: Call, atStart: Config): Reread {
  const { runtimeDir } = atStart;
  let { environment } = call.context;
  let problems: readonly string[] = [];
  // Left by one that waited in vain.
  clearHandover(runtimeDir);
  const refuse = (texts: readonly string[]) => {
    problems = texts;
    for (const reason of texts) log.error("Settings not reloaded", { reason });
  };
  return {
    read() {
      problems = [];
      const fresh = withHandedOver(runtimeDir, environment);
      const loaded = call.settings(fresh);
      const read = configOf(loaded);
      if (!read.ok) {
        refuse(read.problems.map(({ text }) => text));
        return undefined;
      }
      environment = fresh;
      openDaemonLog(read.settings, call.context);
      for (const { text } of loaded.warnings) log.warn(text);
      const waiting = changesForRestart(atStart, read.settings);
      if (waiting.length > 0)
        log.warn("Changed settings wait for a restart", { settings: waiting });
      return read.settings;
    },
    done(failure) {
      if (failure !== undefined) refuse([messageOf(failure)]);
      answerHandover(runtimeDir, problems);
    },
  };
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
  const start = async () => {
    const { startApp } = await import("../app.ts");
    return startApp(config, notifier);
  };
  return runNode(context, config, start, rereader(call, config));
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
