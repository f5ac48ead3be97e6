// A real terminal for a command line: tmux with a server of its own, whose screen and bytes a test reads.
import { readFileSync } from "node:fs";
import { atExit } from "../../scripts/support/at-exit.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { tempFolder } from "./temp-folder.ts";

/** Undefined where there is no tmux. */
export const tmuxPath = Bun.which("tmux");

const DEADLINE_MS = 30_000;
/** What the shell shows when it waits for a command: nothing else prints it. */
const PROMPT = "peat-test> ";

export interface TerminalOptions {
  readonly columns: number;
  readonly rows?: number;
  readonly environment: Readonly<Record<string, string>>;
}

export class Terminal implements AsyncDisposable {
  /** All that the shell gets: nothing of whoever runs the tests, who may have a NO_COLOR. */
  readonly #environment: TerminalOptions["environment"];
  readonly #socket: string;
  readonly #recordPath: string;
  readonly #forget: () => void;
  readonly #folder = tempFolder();
  #runs = 0;

  private constructor(environment: TerminalOptions["environment"]) {
    this.#environment = environment;
    this.#socket = this.#folder.file("tmux");
    this.#recordPath = this.#folder.file("record");
    this.#forget = atExit(() => this.#tmux("kill-server"));
  }

  /** A shell that waits for its first command. */
  static async open({ columns, rows = 30, environment }: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal({ ...environment, PS1: PROMPT });
    const size = ["-x", String(columns), "-y", String(rows)];
    terminal.#tmux("new-session", "-d", ...size, "bash", "--norc", "--noprofile");
    terminal.#tmux("pipe-pane", `cat > ${terminal.#recordPath}`);
    await terminal.until("the prompt", (screen) => screen.includes(PROMPT.trim()));
    return terminal;
  }

  #tmux(...args: readonly string[]): string {
    // No configuration of whoever runs the tests, either.
    const command = ["tmux", "-S", this.#socket, "-f", "/dev/null", ...args];
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
      env: { ...this.#environment },
      stderr: "pipe",
    });
    if (exitCode !== 0 && args[0] !== "kill-server") {
      throw new Error(`tmux ${args[0]}: ${stderr}`);
    }
    return stdout.toString();
  }

  /** The lines that are seen now, without blanks at their ends. */
  screen(): string {
    return this.#tmux("capture-pane", "-p");
  }

  /** The same with the escape sequences of its colours. */
  colours(): string {
    return this.#tmux("capture-pane", "-p", "-e");
  }

  /** Every byte that was sent to the terminal, so far. */
  record(): string {
    return readFileSync(this.#recordPath, "latin1");
  }

  /** What a person types, and Enter. */
  type(line: string): void {
    this.#tmux("send-keys", "-l", line);
    this.#tmux("send-keys", "Enter");
  }

  /** Clears the screen, runs a command and resolves with what it left there when the prompt is back. */
  async run(line: string): Promise<string> {
    this.#runs += 1;
    const mark = `run ${this.#runs}`;
    this.type(`clear; ${line}; echo "exit code $? of ${mark}"`);
    const end = new RegExp(`^exit code \\d+ of ${mark}$`, "m");
    return await this.until("its end", (screen) => end.test(screen));
  }

  /** What a person types and has the shell complete. */
  complete(begun: string): void {
    this.#tmux("send-keys", "-l", begun);
    this.#tmux("send-keys", "Tab");
  }

  interrupt(): void {
    this.#tmux("send-keys", "C-c");
  }

  /** What stands at the prompt is dropped: the next may be typed once a new prompt is there. */
  async drop(): Promise<void> {
    const prompts = () => this.screen().split(PROMPT.trim()).length;
    const before = prompts();
    this.interrupt();
    await this.until("a new prompt", (screen) => screen.split(PROMPT.trim()).length > before);
  }

  resize(columns: number, rows = 30): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** The screen, once it is as it should be. */
  async until(what: string, isTrue: (screen: string) => boolean): Promise<string> {
    let last = "";
    try {
      return await waitFor(what, DEADLINE_MS, () => {
        last = this.screen();
        return isTrue(last) ? last : undefined;
      });
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}; the screen:\n${last}`, {
        cause: error,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tmux("kill-server");
    this.#forget();
    this.#folder[Symbol.dispose]();
  }
}
