// A node that was there and does not answer: told once, until it is back.
import { Fault } from "../base/faults.ts";
import type { Call } from "./command.ts";
import { safeText } from "./terminal-text.ts";

export class Absence {
  readonly #call: Call;
  #isTold = false;

  constructor(call: Call) {
    this.#call = call;
  }

  /** What `ask` gives, undefined while nobody answers. Other faults are thrown on. */
  async bridge<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await ask();
      this.#isTold = false;
      return answer;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "not_ready") throw error;
      const { program, stderr } = this.#call.context;
      if (!this.#isTold) stderr.write(`${program}: ${safeText(error.message)}; trying again\n`);
      this.#isTold = true;
      return undefined;
    }
  }
}
