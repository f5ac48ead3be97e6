// `run`: the daemon. Opens the log, starts the node, and waits for a stop signal or its end.
import { systemClock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { openNotifier } from "../base/notify-socket.ts";
import { answerHandover, clearHandover, withHandedOver } from "../config/handover.ts";
import { configOf } from "../config/load.ts";
import type { Config } from "../config/settings.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { type Context, EXIT } from "./context.ts";
import { DaemonLog } from "./daemon-log.ts";
import { RunningSettings } from "./running-settings.ts";

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

/** The environment of the start, or that of the last reload which was taken. */
interface Surroundings {
  environment: Context["environment"];
}

/** What a reload changes beside the node itself. */
interface Daemon {
  readonly log: DaemonLog;
  readonly settings: RunningSettings;
}

/** Reads as the start did, from an environment that may have been handed over since. */
function rereader(call: Call, daemon: Daemon, surroundings: Surroundings): Reread {
  const { runtimeDir } = daemon.settings.atStart.config;
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
      const fresh = withHandedOver(runtimeDir, surroundings.environment);
      const loaded = call.settingsUnder(fresh);
      const read = configOf(loaded);
      if (!read.ok) {
        refuse(read.problems.map(({ text }) => text));
        return undefined;
      }
      surroundings.environment = fresh;
      daemon.log.reload(read.settings);
      daemon.settings.reloaded({ loaded, config: read.settings });
      for (const { text } of loaded.warnings) log.warn(text);
      const waiting = daemon.settings.waitingForRestart;
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
  const surroundings: Surroundings = { environment: context.environment };
  const daemon = {
    log: new DaemonLog(config, context),
    settings: new RunningSettings({ loaded, config }, () =>
      call.settingsUnder(surroundings.environment),
    ),
  };
  logStart(config);
  for (const { text } of loaded.warnings) log.warn(text);
  const notifier = openNotifier(context.environment, process.pid);
  // Loaded only now: the other commands do without the network's native library and the store. A stop signal is
  // heard meanwhile.
  const start = async () => {
    const { startApp } = await import("../app.ts");
    return startApp(config, daemon, notifier);
  };
  return runNode(context, config, start, rereader(call, daemon, surroundings));
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
