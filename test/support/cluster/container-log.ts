// What a container printed, a line each with time and stream, in the file format of container runtimes.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

const POLL_MS = 100;

export interface LogQuery {
  readonly follow: boolean;
  readonly tailLines: number | undefined;
  readonly timestamps: boolean;
  readonly sinceMs: number | undefined;
}

export class ContainerLog {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
    mkdirSync(dirname(file), { recursive: true });
  }

  /** Takes lines until the stream ends. */
  async take(name: "stdout" | "stderr", stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.#append(name, lines);
    }
    if (rest !== "") this.#append(name, [rest]);
  }

  #append(name: string, lines: readonly string[]): void {
    const now = new Date().toISOString();
    if (lines.length === 0) return;
    appendFileSync(this.#file, lines.map((line) => `${now} ${name} F ${line}\n`).join(""));
  }

  get exists(): boolean {
    return existsSync(this.#file);
  }

  #lines(): string[] {
    return this.exists ? readFileSync(this.#file, "utf8").split("\n").slice(0, -1) : [];
  }

  /** What `kubectl logs` prints; with `follow` it goes on until `isOver`. */
  async *read(query: LogQuery, isOver: () => boolean): AsyncGenerator<string> {
    const all = this.#lines();
    let next = all.length;
    const wanted = all.filter((line) => isSince(line, query.sinceMs));
    const tail =
      query.tailLines === undefined ? wanted : wanted.slice(-query.tailLines || all.length);
    if (query.tailLines !== 0) yield render(tail, query);
    while (query.follow) {
      const isLast = isOver();
      const fresh = this.#lines().slice(next);
      next += fresh.length;
      if (fresh.length > 0) yield render(fresh, query);
      if (isLast) return;
      await Bun.sleep(POLL_MS);
    }
  }
}

function isSince(line: string, sinceMs: number | undefined): boolean {
  return sinceMs === undefined || Date.parse(line.slice(0, line.indexOf(" "))) >= sinceMs;
}

function render(lines: readonly string[], { timestamps }: LogQuery): string {
  return lines
    .map((line) => {
      const [, time = "", text = ""] = /^(\S+) \S+ F (.*)$/s.exec(line) ?? [];
      return `${timestamps ? `${time} ` : ""}${text}\n`;
    })
    .join("");
}
