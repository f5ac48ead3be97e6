// All distributions that this node has heard of: documents of one collection, followed from the beginning.
import { Fault } from "../base/faults.ts";
import { documentKey } from "../store/document-key.ts";
import { type JsonObject, printJson } from "../store/json.ts";
import type { Store, StoredDocument, Subscription } from "../store/store.ts";
import {
  type Distribution,
  FILE_DISTRIBUTIONS,
  isHandle,
  printDistribution,
  readDistribution,
} from "./distribution.ts";

const PAGE = 64;
const FEED_CHANGES_MAX = 256;
const FEED_BYTES_MAX = 1024 * 1024;

/** `distribution` is undefined when there is none any more. */
export type Heard = (id: string, distribution: Distribution | undefined) => void;

function readFrom(store: Store, id: string): Distribution | undefined {
  const stored = store.get(documentKey(FILE_DISTRIBUTIONS, id));
  return stored && readDistribution(id, stored.json);
}

/** By the id that a client names. Fault `distribution_not_found`. */
export function findDistribution(store: Store, id: string): Distribution {
  const distribution = isHandle(id) ? readFrom(store, id) : undefined;
  if (distribution !== undefined) return distribution;
  const sentence = `distribution_id: ${JSON.stringify(id.slice(0, 64))} is unknown`;
  throw new Fault("distribution_not_found", sentence);
}

export class Distributions {
  readonly #store: Store;
  readonly #listeners = new Set<Heard>();
  #subscription: Subscription | undefined;
  #readToEnd: () => void = () => undefined;
  /** Resolves when all that was there in the beginning has been heard. */
  readonly ready: Promise<void>;

  constructor(store: Store) {
    this.#store = store;
    this.ready = new Promise((resolve) => {
      this.#readToEnd = resolve;
    });
  }

  onHeard(listener: Heard): void {
    this.#listeners.add(listener);
  }

  get(id: string): Distribution | undefined {
    return readFrom(this.#store, id);
  }

  /** As findDistribution. */
  find(id: string): Distribution {
    return findDistribution(this.#store, id);
  }

  /** Tells all that there are, then every change, until close(). */
  async run(): Promise<void> {
    this.#subscription = this.#subscribe();
    let { position } = this.#subscription;
    this.#tellAll();
    this.#readToEnd();
    while (true) {
      const taken = await this.#subscription.take();
      if (taken === undefined) return;
      if (taken.kind === "item") {
        position = taken.item.token;
        this.#tell(taken.item.document);
        continue;
      }
      // The newest version of everything since then comes again.
      this.#subscription.close();
      this.#subscription = this.#subscribe(position);
      if (this.#subscription.lostSince) this.#tellAll();
    }
  }

  close(): void {
    this.#subscription?.close();
  }

  /** All of them or none: what could not be written takes back what was. Faults as Store.write. */
  async begin(distributions: readonly Distribution[]): Promise<void> {
    const writes = distributions.map((told) =>
      this.#store.write({
        key: documentKey(FILE_DISTRIBUTIONS, told.id),
        operation: { kind: "put", body: printJson(printDistribution(told)) },
        ifNoneMatch: "*",
      }),
    );
    const results = await Promise.allSettled(writes);
    const failure = results.find((result) => result.status === "rejected");
    if (failure === undefined) return;
    await Promise.all(distributions.map(({ id }) => this.forget(id)));
    throw failure.reason;
  }

  /** False when it is gone. Faults as Store.write. */
  patch(id: string, patch: JsonObject): Promise<boolean> {
    return this.#change({
      key: documentKey(FILE_DISTRIBUTIONS, id),
      operation: { kind: "patch", body: printJson(patch) },
      // A patch of nothing would be a new document.
      ifMatch: "*",
    });
  }

  async forget(id: string): Promise<void> {
    const key = documentKey(FILE_DISTRIBUTIONS, id);
    await this.#change({ key, operation: { kind: "delete", reason: "" }, ifMatch: "*" });
  }

  async #change(request: Parameters<Store["write"]>[0]): Promise<boolean> {
    try {
      await this.#store.write(request);
      return true;
    } catch (error) {
      if (error instanceof Fault && error.code === "precondition_failed") return false;
      throw error;
    }
  }

  #subscribe(since?: string): Subscription {
    return this.#store.subscribe({
      collections: [FILE_DISTRIBUTIONS],
      reader: "files",
      capacity: FEED_CHANGES_MAX,
      capacityBytes: FEED_BYTES_MAX,
      ...(since === undefined ? {} : { since }),
    });
  }

  #tellAll(): void {
    let after: string | undefined;
    while (true) {
      const page = this.#store.list(FILE_DISTRIBUTIONS, {
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      for (const document of page) this.#tell(document);
      after = page.at(-1)?.id;
      if (after === undefined || page.length < PAGE) return;
    }
  }

  /** As it is by now: of a change that has been overtaken nobody hears. */
  #tell({ id }: StoredDocument): void {
    const distribution = this.get(id);
    for (const listener of this.#listeners) listener(id, distribution);
  }
}
