// What a command is given to read: a file, a pipe, standard input.
import { Fault } from "../base/faults.ts";
import { fileProblem } from "../config/host.ts";
import { safeText } from "./terminal-text.ts";

export interface InputOptions {
  /** What named the input, for sentences. */
  readonly option: string;
  readonly bytesMax: number;
}

/** All of the file at `path`, of standard input for `-`, as UTF-8. Fault `invalid_argument` when it can't be read. */
export async function readInput(path: string, { option, bytesMax }: InputOptions): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const stream = path === "-" ? Bun.stdin.stream() : Bun.file(path).stream();
    for await (const chunk of stream) {
      bytes += chunk.length;
      if (bytes > bytesMax) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new Fault(
      "invalid_argument",
      `${option}: ${safeText(fileProblem(path, error))}`,
      {},
      error,
    );
  }
  if (bytes > bytesMax) {
    throw new Fault("invalid_argument", `${option}: more than ${bytesMax} bytes are no document`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new Fault("invalid_argument", `${option}: the text is not UTF-8`, {}, error);
  }
}
