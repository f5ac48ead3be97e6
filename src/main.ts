// The process: which name it was called by, its streams and signals, and the only process.exit.
import { basename } from "node:path";
import { FAULTS } from "./base/faults.ts";
import { buildInfo } from "./build-info.ts";
import { execute } from "./cli/command-line.ts";
import { type Context, EXIT, type StopSignal } from "./cli/context.ts";
import { DescriptorOutput } from "./cli/output.ts";
import { systemHost } from "./config/host.ts";
import type { Program } from "./config/setting.ts";

const SIGNAL_NUMBERS: Readonly<Record<StopSignal, number>> = { SIGINT: 2, SIGTERM: 15 };

/** Who was told to stop does not wait longer for the reader of the last lines. */
const FLUSH_MS_MAX = 500;

// The addon's loader hears of its place by this variable only. Set from outside, it comes first.
if (buildInfo.addonPath !== undefined) {
  process.env["NAPI_RS_NATIVE_LIBRARY_PATH"] ??= buildInfo.addonPath;
}

const args = process.argv.slice(2);
const stdout = new DescriptorOutput(1, () => process.stdout);
const stderr = new DescriptorOutput(2, () => process.stderr);
let isDaemon = false;
let isStopped = false;

/** `peat-sidecar mesh-node …` is the same as being called by the link's name. */
function takeProgram(): Program {
  if (args[0] === "mesh-node") {
    args.shift();
    return "peat-mesh-node";
  }
  return basename(process.argv0) === "peat-mesh-node" ? "peat-mesh-node" : "peat-sidecar";
}

async function exit(code: number): Promise<never> {
  const written = Promise.all([stdout.flushed(), stderr.flushed()]);
  await (isDaemon || isStopped ? Promise.race([written, Bun.sleep(FLUSH_MS_MAX)]) : written);
  const { failure } = stdout;
  if (failure === undefined || isDaemon || code !== EXIT.ok) process.exit(code);
  stderr.write(`${context.program}: can't write to standard output: ${failure.message}\n`);
  await stderr.flushed();
  process.exit(FAULTS.storage_failed.exit);
}

let stopListener: ((signal: StopSignal) => void) | undefined;

// From the first moment on: the first process of a container is not ended by a signal that it does not listen to.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    const listener = stopListener;
    if (listener === undefined) process.exit(128 + SIGNAL_NUMBERS[signal]);
    stopListener = undefined;
    isStopped = true;
    listener(signal);
  });
}

function onStopSignal(
  listener: (signal: StopSignal) => void,
  { isCommand = false }: { readonly isCommand?: boolean } = {},
): void {
  isDaemon = !isCommand;
  stopListener = listener;
}

/** A daemon at a terminal ends with it, as every program there. */
function onReloadSignal(listener: () => void): void {
  if (!stdout.isTerminal) process.on("SIGHUP", listener);
}

async function failAsBug(error: unknown): Promise<never> {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  stderr.write(`this is a defect of the program, please report it: ${text}\n`);
  return await exit(EXIT.bug);
}

process.on("uncaughtException", failAsBug);
process.on("unhandledRejection", failAsBug);

const context: Context = {
  program: takeProgram(),
  environment: process.env,
  stdout,
  stderr,
  host: systemHost,
  onStopSignal,
  onReloadSignal,
};

execute(context, args).then(exit, failAsBug);
