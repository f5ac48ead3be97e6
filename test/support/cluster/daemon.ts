// A program of a cluster: its output in a file, killed without ceremony, started again with the same command line.
import { closeSync, openSync, readFileSync } from "node:fs";
import { atExit } from "../../../scripts/support/at-exit.ts";

const TAIL_LINES = 20;

export class Daemon implements AsyncDisposable {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #logFile: string;
  #child: Bun.Subprocess | undefined;

  /** `command` must keep its process id: `ip netns exec` does. */
  constructor(name: string, command: readonly string[], logFile: string) {
    this.name = name;
    this.#command = command;
    this.#logFile = logFile;
  }

  start(): void {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const output = openSync(this.#logFile, "a");
    const child = Bun.spawn([...this.#command], {
      stdin: "ignore",
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
    return readFileSync(this.#logFile, "utf8").trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
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
