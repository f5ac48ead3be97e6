// Several things in one command: each by itself, what fails told by its name, the others done all the same.
import { Fault, messageOf } from "../base/faults.ts";
import type { Call } from "./command.ts";
import { EXIT } from "./context.ts";
import { safeText } from "./terminal-text.ts";

interface Named {
  /** For sentences. */
  readonly text: string;
}

/** Does `work` for each. The code is that of the first failure; a single one is thrown with its name. */
export async function eachOf<T extends Named>(
  { context }: Call,
  things: readonly T[],
  work: (thing: T) => Promise<void>,
): Promise<number> {
  let code: number = EXIT.ok;
  for (const thing of things) {
    if (context.stdout.closed?.aborted === true) break;
    try {
      await work(thing);
    } catch (error) {
      // Without the node, or without its leave, none of the others goes better.
      if (!(error instanceof Fault) || error.code === "not_ready") throw error;
      const told = messageOf(error);
      const sentence = told.includes(thing.text) ? told : `${thing.text}: ${told}`;
      if (things.length === 1) throw new Fault(error.code, sentence, {}, error);
      context.stderr.write(`${context.program}: ${safeText(sentence)}\n`);
      code = code === EXIT.ok ? error.exitCode : code;
    }
  }
  return code;
}
