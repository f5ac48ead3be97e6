// A writer that gives a machine's node no rest, from inside of its network: how long it was without acknowledgements,
// and whether each is still true.
import { join } from "node:path";
import type { WriterLine } from "./acked-writer.ts";
import type { Machine } from "./machine.ts";
import { LineProcess } from "./namespace.ts";

const LIMIT_MS = 120_000;
const CHECK_LIMIT_MS = 300_000;
/** How many acknowledgements show that it goes on. */
const ENOUGH = 100;

export class LoadWriter implements AsyncDisposable {
  readonly #process: LineProcess<WriterLine>;

  private constructor(process: LineProcess<WriterLine>) {
    this.#process = process;
  }

  /** Resolves when writes are acknowledged. The token must be one that stays. */
  static async start(machine: Machine): Promise<LoadWriter> {
    const token = machine.read("cat /run/peat-sidecar/token");
    const script = join(import.meta.dir, "acked-writer.ts");
    const command = [process.execPath, script, "http://127.0.0.1:8081", token];
    const writer = new LoadWriter(new LineProcess(machine.command(command, "network")));
    await writer.goesOn(0);
    return writer;
  }

  /** Acknowledged so far. */
  get acked(): number {
    return Math.max(
      0,
      ...this.#process.lines.map((line) => (line.kind === "acked" ? line.count : 0)),
    );
  }

  /** Waits for a hundred acknowledgements from now on; the longest pause between two since there were `from`. */
  async goesOn(from: number): Promise<string> {
    const enough = this.acked + ENOUGH;
    await this.#process.until((line) => line.kind === "acked" && line.count >= enough, LIMIT_MS);
    const pauses = this.#process.lines.map((line) =>
      line.kind === "acked" && line.count > from ? line.pauseMs : 0,
    );
    return `${Math.max(...pauses).toFixed(0)} ms`;
  }

  /** Ends the writing and reads everything back that was acknowledged. */
  async readBack(): Promise<WriterLine> {
    this.#process.tell("check");
    return await this.#process.until((line) => line.kind === "checked", CHECK_LIMIT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
