// Who waits until a connected peer no longer is.
import type { NodeName } from "../identity/peer.ts";

export class Departures {
  readonly #waiting = new Map<NodeName, Set<() => void>>();

  /** Resolves with the next departed() of this name. */
  of(name: NodeName): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, waiting.add(resolve));
    });
  }

  departed(name: NodeName): void {
    for (const wake of this.#waiting.get(name) ?? []) wake();
    this.#waiting.delete(name);
  }
}
