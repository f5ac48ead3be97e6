// A program of a cluster: its output in a file, killed without ceremony, started again with the same command line.
import { closeSync, openSync, readFileSync } from "node:fs";
import { atExit } from "../../../scripts/support/at-exit.ts";

const TAIL_LINES = 20;

export interface DaemonOptions {
  /** It must keep its process id: `ip netns exec` does. */
  readonly command: readonly string[];
  readonly logFile: string;
  /** Whether it ends by itself when its standard input does; else it is killed when this process ends anyhow. */
  readonly endsWithInput?: boolean;
}

export class Daemon implements AsyncDisposable {
  readonly name: string;
  readonly #options: DaemonOptions;
  #child: Bun.Subprocess | undefined;

  constructor(name: string, options: DaemonOptions) {
    this.name = name;
    this.#options = options;
  }

  start(): void {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const { command, logFile, endsWithInput = false } = this.#options;
    const output = openSync(logFile, "a");
    const bound = endsWithInput ? [] : ["setpriv", "--pdeathsig", "KILL"];
    const child = Bun.spawn([...bound, ...command], {
      stdin: endsWithInput ? "pipe" : "ignore",
      stdout: output,
      stderr: output,
    });
    closeSync(output);
    child.exited.finally(atExit(() => child.kill("SIGKILL")));
    this.#child = child;
  }

  get pid(): number {
    if (this.#child === undefined) throw new Error(`${this.name} does not run`);
    return this.#child.pid;
  }

  /** Throws, with the end of its log, if it has ended by itself. */
  check(): void {
    const child = this.#child;
    if (child === undefined || child.exitCode === null) return;
    throw new Error(`${this.name} ended with status ${child.exitCode}:\n${this.logTail()}`);
  }

  logTail(): string {
    return readFileSync(this.#options.logFile, "utf8")
      .trimEnd()
      .split("\n")
      .slice(-TAIL_LINES)
      .join("\n");
  }

  /** Resolves when it is gone; nothing happens if it does not run. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill(signal);
    await child?.exited;
  }

  /** Stops it where it stands, as a machine that hangs would; SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
