// The examples of a page: its fenced blocks, run one after the other in one shell, and what each is to print.
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Block, partsOf } from "./markdown.ts";

/** How a block of each language is run; the shell's state goes on from block to block. */
const RUNNERS: Readonly<Record<string, (file: string) => string>> = {
  sh: (file) => `. ./${file}`,
  ts: (file) => `bun ./${file}`,
  python: (file) => `python ./${file}`,
  go: (file) => `go run ./${file}`,
};
const ENDINGS: Readonly<Record<string, string>> = { python: "py" };
/** Of what the block before them prints. */
const OUTPUTS = new Set(["text", "json"]);

export interface Example {
  readonly block: Block;
  /** What it prints: `…` stands for anything. Undefined: the page does not say. */
  readonly printed: string | undefined;
}

/** Throws for a block that nothing runs and that is no output. */
export function examplesOf(page: string): readonly Example[] {
  const lines = page.split("\n");
  const examples: Example[] = [];
  let last: { end: number } | undefined;
  for (const block of partsOf(page).blocks) {
    const end = block.line + block.text.split("\n").length + 1;
    const between =
      last === undefined
        ? "none"
        : lines
            .slice(last.end, block.line - 1)
            .join("")
            .trim();
    if (OUTPUTS.has(block.language) && last !== undefined && between === "") {
      const example = examples.at(-1);
      if (example !== undefined) examples.splice(-1, 1, { ...example, printed: block.text });
      last = undefined;
      continue;
    }
    if (!Object.hasOwn(RUNNERS, block.language)) {
      throw new Error(
        `line ${block.line}: nothing runs ${block.language || "a block without a language"}`,
      );
    }
    examples.push({ block, printed: undefined });
    last = { end };
  }
  return examples;
}

/** Whether `said` is what the page shows. */
export function isPrinted(shown: string, said: string): boolean {
  const pattern = shown
    .trim()
    .split("…")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("[\\s\\S]*?");
  return new RegExp(`^${pattern}$`).test(said.trim());
}

export interface Outcome {
  readonly example: Example;
  readonly code: number;
  readonly said: string;
}

export interface RunOptions {
  /** The blocks run here; what they need lies here. */
  readonly folder: string;
  /** Texts of the page, and what takes their place on this machine. */
  readonly places: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export async function runExamples(
  examples: readonly Example[],
  { folder, places, environment, timeoutMs }: RunOptions,
): Promise<readonly Outcome[]> {
  const script = examples.map(({ block }, n) => {
    const { language } = block;
    const file = `block-${n}.${ENDINGS[language] ?? language}`;
    let text = block.text;
    for (const [shown, real] of Object.entries(places)) text = text.replaceAll(shown, real);
    writeFileSync(join(folder, file), `${text}\n`);
    return `${RUNNERS[language]?.(file)} >${n}.out 2>&1; echo $? >${n}.code`;
  });
  const path = join(folder, "page.sh");
  writeFileSync(path, `${script.join("\n")}\n`);
  chmodSync(path, 0o755);
  const shell = Bun.spawn(["bash", "page.sh"], {
    cwd: folder,
    env: { ...environment },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    timeout: timeoutMs,
  });
  await shell.exited;
  const read = async (file: string) =>
    await Bun.file(join(folder, file))
      .text()
      .catch(() => "");
  return await Promise.all(
    examples.map(async (example, n) => ({
      example,
      code: Number((await read(`${n}.code`)) || "-1"),
      said: await read(`${n}.out`),
    })),
  );
}
