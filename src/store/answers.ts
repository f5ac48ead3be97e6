// The writes of one group, applied one by one; who asked for them is answered when the group is committed.
import { Fault } from "../base/faults.ts";
import { splitKey } from "./document-key.ts";
import { isShown } from "./entry.ts";
import type { Envelopes } from "./envelope.ts";
import { checkPreconditions, outcomeOf } from "./precondition.ts";
import type { WriteGroup } from "./write-group.ts";
import type { LocalWrite, PeerMerge } from "./write-queue.ts";

export class Answers {
  readonly #group: WriteGroup;
  readonly #envelopes: Envelopes;
  readonly #onBug: (error: unknown) => void;
  readonly #answers: (() => void)[] = [];
  readonly #failures: ((error: unknown) => void)[] = [];

  /** `onBug`: a write failed with something else than a Fault, and no state can be trusted after it. */
  constructor(group: WriteGroup, envelopes: Envelopes, onBug: (error: unknown) => void) {
    this.#envelopes = envelopes;
    this.#group = group;
    this.#onBug = onBug;
  }

  write({ request, resolve, reject }: LocalWrite): void {
    const { key, operation, restores } = request;
    try {
      const entry = this.#group.entry(key);
      const existed = isShown(entry);
      const hashBefore = entry.hash;
      if (restores !== undefined && existed) {
        const name = key.replace(":", "/");
        throw new Fault("conflict", `document ${name} is there; delete it before you restore it`);
      }
      checkPreconditions(request, existed ? entry.hash : undefined);
      this.#group.write(entry, operation, restores !== undefined);
      if (restores !== undefined) this.#group.restored(restores);
      const outcome = outcomeOf(operation, existed, !existed || entry.hash !== hashBefore);
      const { json: written, hash = "" } = entry;
      const json = written === undefined ? "null" : this.#envelopes.open(written);
      const told = { json, hash };
      this.#answers.push(() => {
        const deleted = outcome === "deleted";
        resolve({
          outcome,
          document: { key, ...splitKey(key), ...told, seq: entry.seq, deleted },
        });
      });
      this.#failures.push(reject);
    } catch (error) {
      this.#rejectOne(error, reject);
    }
  }

  merge({ incoming, origin, resolve, reject }: PeerMerge): void {
    try {
      const outcome = this.#group.merge(this.#group.entry(incoming.key), incoming, origin);
      this.#answers.push(() => resolve(outcome));
      this.#failures.push(reject);
    } catch (error) {
      this.#rejectOne(error, reject);
    }
  }

  /** The group is committed. */
  give(): void {
    for (const answer of this.#answers) answer();
  }

  /** Nothing of the group is committed. */
  fail(error: unknown): void {
    for (const fail of this.#failures) fail(error);
  }

  /** A fault concerns one write only. */
  #rejectOne(error: unknown, reject: (error: unknown) => void): void {
    reject(error);
    if (!(error instanceof Fault)) this.#onBug(error);
  }
}
