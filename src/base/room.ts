// Room for so much work of one kind at a time: what comes beyond it is refused at once, and does not wait.
import { Fault } from "./faults.ts";

export class Room {
  readonly #places: number;
  readonly #full: string;
  #taken = 0;

  /** `full` says what it is that there are too many of, behind their number: "writes are under way already". */
  constructor(places: number, full: string) {
    this.#places = places;
    this.#full = full;
  }

  get taken(): number {
    return this.#taken;
  }

  /** The way out, of which any but the first use means nothing. Fault `overloaded` when there is no room. */
  enter(): () => void {
    if (this.#taken >= this.#places) {
      throw new Fault("overloaded", `${this.#places} ${this.#full}; try again`);
    }
    this.#taken += 1;
    let isIn = true;
    return () => {
      if (isIn) this.#taken -= 1;
      isIn = false;
    };
  }

  /** Fault `overloaded` when there is no room; else what `work` makes of it. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const leave = this.enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }
}
