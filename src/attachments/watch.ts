// Who wants to hear how a bundle gets on: of each distribution the newest state, none of them lost to a slow reader.
import type { Distribution, NodeState } from "./distribution.ts";
import { progressOf } from "./distribution.ts";

export interface Told {
  readonly distribution: Distribution;
  /** The node that has changed, if it is one. */
  readonly changed: { readonly id: string; readonly state: NodeState } | undefined;
}

function isFinal(distribution: Distribution): boolean {
  const progress = progressOf(distribution);
  return progress !== "pending" && progress !== "in_progress";
}

/** The one node whose state differs. */
function changedNode(before: Distribution | undefined, after: Distribution): Told["changed"] {
  const changed = [...after.nodes].filter(([id, state]) => {
    const was = before?.nodes.get(id);
    return was?.status !== state.status || was.bytes !== state.bytes;
  });
  const [only] = changed;
  return changed.length === 1 && only !== undefined ? { id: only[0], state: only[1] } : undefined;
}

export class BundleWatch {
  readonly #last = new Map<string, Distribution>();
  readonly #pending = new Map<string, Distribution | undefined>();
  readonly #open: Set<string>;
  readonly #onClose: () => void;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(distributions: readonly Distribution[], onClose: () => void) {
    this.#onClose = onClose;
    this.#open = new Set(distributions.map(({ id }) => id));
    for (const distribution of distributions) this.#pending.set(distribution.id, distribution);
  }

  /** Undefined: it is known no longer. */
  changed(id: string, distribution: Distribution | undefined): void {
    if (!this.#open.has(id)) return;
    this.#pending.set(id, distribution);
    this.#wake();
  }

  /** Undefined once every distribution has been told to be over, or after close(). One caller at a time. */
  async take(): Promise<Told | undefined> {
    while (!this.#isClosed) {
      const [next] = this.#pending;
      if (next !== undefined) {
        const [id, distribution] = next;
        this.#pending.delete(id);
        const told = this.#tell(id, distribution);
        if (told !== undefined) return told;
        continue;
      }
      if (this.#open.size === 0) this.close();
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    return undefined;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
    this.#wake();
  }

  #tell(id: string, distribution: Distribution | undefined): Told | undefined {
    if (distribution === undefined || isFinal(distribution)) this.#open.delete(id);
    if (distribution === undefined) return undefined;
    const changed = changedNode(this.#last.get(id), distribution);
    this.#last.set(id, distribution);
    return { distribution, changed };
  }
}
