// The process: which name it was called by, its streams and signals, and the only process.exit.
import { basename } from "node:path";
import { execute } from "./cli/command-line.ts";
import { type Context, EXIT, type Output, type StopSignal } from "./cli/context.ts";
import { systemHost } from "./config/host.ts";
import type { Program } from "./config/setting.ts";

const SIGNAL_NUMBERS: Readonly<Record<StopSignal, number>> = { SIGINT: 2, SIGTERM: 15 };

const args = process.argv.slice(2);

/** `peat-sidecar mesh-node …` is the same as being called by the link's name. */
function takeProgram(): Program {
  if (args[0] === "mesh-node") {
    args.shift();
    return "peat-mesh-node";
  }
  return basename(process.argv0) === "peat-mesh-node" ? "peat-mesh-node" : "peat-sidecar";
}

function outputOf(stream: NodeJS.WriteStream): Output {
  // A reader that has gone (`| head`) is no reason to fail, and a daemon outlives its log's reader.
  stream.on("error", () => undefined);
  return {
    isTerminal: stream.isTTY === true,
    write: (text) => {
      stream.write(text);
    },
  };
}

/** Resolves when everything written before has left the process. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

/** A reader that neither reads nor goes must not keep the process. */
const FLUSH_MS_MAX = 1000;

async function exit(code: number): Promise<never> {
  const written = Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  await Promise.race([written, Bun.sleep(FLUSH_MS_MAX)]);
  process.exit(code);
}

function onStopSignal(listener: (signal: StopSignal) => void): void {
  let isStopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(128 + SIGNAL_NUMBERS[signal]);
      isStopping = true;
      listener(signal);
    });
  }
}

async function failAsBug(error: unknown): Promise<never> {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`this is a defect of the program, please report it: ${text}\n`);
  return await exit(EXIT.bug);
}

process.on("uncaughtException", failAsBug);
process.on("unhandledRejection", failAsBug);

const context: Context = {
  program: takeProgram(),
  environment: process.env,
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  host: systemHost,
  onStopSignal,
};

execute(context, args).then(exit, failAsBug);
