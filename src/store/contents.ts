// Contents that are in the file but not in the documents: listed, brought back by an explicit write, given up.
import { Fault } from "../base/faults.ts";
import type { Database } from "./database.ts";
import type { WriteRequest, WriteResult } from "./precondition.ts";
import type { AsideEntry, AsideQuery, WhyAside } from "./set-aside.ts";

export interface ContentsOptions {
  readonly database: Database;
  readonly now: () => number;
  readonly write: (request: WriteRequest) => Promise<WriteResult>;
}

export class Contents {
  readonly #options: ContentsOptions;

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  /** In the order in which they were set aside. */
  list(query: AsideQuery): readonly AsideEntry[] {
    return this.#options.database.aside.list(query);
  }

  count(why: WhyAside): number {
    return this.#options.database.aside.count(why);
  }

  /** Canonical JSON of a content. */
  read(id: number): string | undefined {
    return this.#options.database.aside.contentOf(id);
  }

  /** Writes the content as a new document, or a new life of a deleted one. Faults: document_not_found, conflict, and those of a write. */
  async restore(id: number): Promise<WriteResult> {
    const { key, why } = this.#find(id);
    const body = this.read(id);
    if (why === "damaged" || body === undefined) {
      const sentence = `entry ${id} was damaged on this node's disk; it comes back from a peer or not at all`;
      throw new Fault("conflict", sentence);
    }
    return await this.#options.write({ key, operation: { kind: "put", body }, restores: id });
  }

  /** Gives a content up for good. Faults: document_not_found, storage_full, storage_failed. */
  discard(id: number): AsideEntry {
    const { database, now } = this.#options;
    const entry = this.#find(id);
    database.write([], [], now(), () => database.aside.remove(id));
    return entry;
  }

  #find(id: number): AsideEntry {
    const entry = this.#options.database.aside.find(id);
    if (entry !== undefined) return entry;
    throw new Fault("document_not_found", `nothing is set aside under the number ${id}`);
  }
}
