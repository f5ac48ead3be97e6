// A command line run in this process, with what it wrote: to a pipe, or to a terminal of a given size.
import { execute } from "../../src/cli/command-line.ts";
import type { Context, Output } from "../../src/cli/context.ts";
import { systemHost } from "../../src/config/host.ts";
import type { Host, Program } from "../../src/config/setting.ts";
import type { BrokerWorld } from "./start-broker.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** The name under which the executable is called. */
  readonly program?: Program;
  readonly environment?: Readonly<Record<string, string>>;
  /** Cells of a line; without it standard output is a pipe. */
  readonly columns?: number;
  /** Bytes that standard output says it has not got rid of. */
  readonly pendingBytes?: () => number;
  /** The machine as settings see it, in place of this one. */
  readonly host?: Host;
  readonly onWrite?: (text: string) => void;
  /** Gets the way to send a stop signal. */
  readonly onStopper?: (stop: () => void) => void;
}

export async function runCommand(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { program = "peat-sidecar", environment = {}, columns, onWrite, onStopper } = options;
  const { pendingBytes = () => 0, host = systemHost } = options;
  const written = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr"): Output => ({
    isTerminal: columns !== undefined,
    columns,
    get pendingBytes() {
      return name === "stdout" ? pendingBytes() : 0;
    },
    write(text: string) {
      written[name] += text;
      if (name === "stdout") onWrite?.(text);
    },
  });
  const context: Context = {
    program,
    environment: { ...(columns === undefined ? {} : { TERM: "xterm-256color" }), ...environment },
    stdout: output("stdout"),
    stderr: output("stderr"),
    host,
    onStopSignal: (listener) => onStopper?.(() => listener("SIGINT")),
    onReloadSignal: () => undefined,
  };
  const code = await execute(context, args);
  return { code, ...written };
}

/** The same, asking the broker of a test. */
export function runAgainst(
  { broker }: BrokerWorld,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  return runCommand([...args, "--url", broker.url], options);
}
