// Stores on files under one virtual clock, as old as a test wants them: written to, compared with, restarted.
import { spyOn } from "bun:test";
import { Fault } from "../../src/base/faults.ts";
import {
  CollectionPolicies,
  NO_CHOICES,
  type PolicyChoices,
} from "../../src/store/collection-policies.ts";
import { Database } from "../../src/store/database.ts";
import type { Subscription } from "../../src/store/feed.ts";
import type { WriteResult } from "../../src/store/precondition.ts";
import type { MergeOutcome, Store, WriteOperation } from "../../src/store/store.ts";
import { openFileStore, tamper } from "./file-store.ts";
import { key } from "./memory-store.ts";
import { tempFolder } from "./temp-folder.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

export interface AgingOptions {
  readonly clock: VirtualClock;
  readonly choices?: Partial<PolicyChoices>;
  /** By how much its wall clock is wrong. */
  readonly skewMs?: number;
}

export class AgingStore implements Disposable {
  readonly #clock: VirtualClock;
  readonly #folder = tempFolder({ isInMemory: true });
  #options: AgingOptions;
  #spy: ReturnType<typeof spyOn<Database, "write">> | undefined;
  store: Store;

  constructor(options: AgingOptions) {
    this.#clock = options.clock;
    this.#options = options;
    this.store = this.#open();
  }

  #open(): Store {
    const { clock, skewMs = 0, choices } = this.#options;
    return openFileStore(this.#folder.file("peat.db"), {
      clock: clock.skewed(() => skewMs),
      policies: new CollectionPolicies({ ...NO_CHOICES, ...choices }),
    }).store;
  }

  /** Commits are then refused as SQLite refuses them without room. */
  set isDiskFull(value: boolean) {
    this.#spy?.mockRestore();
    this.#spy = value
      ? spyOn(Database.prototype, "write").mockImplementation(() => {
          throw new Fault("storage_full", "no room left; free some space");
        })
      : undefined;
  }

  /** Runs SQL on the file while the process is down. */
  tamper(sql: string): void {
    this.store.close();
    tamper(this.#folder.file("peat.db"), sql);
    this.store = this.#open();
  }

  restart(choices = this.#options.choices): void {
    this.store.close();
    this.#options = { ...this.#options, ...(choices === undefined ? {} : { choices }) };
    this.store = this.#open();
  }

  /** The process is down for that long. */
  async off(ms: number): Promise<void> {
    this.store.close();
    await this.#clock.advance(ms);
    this.store = this.#open();
  }

  async #settled<T>(answer: Promise<T>): Promise<T> {
    // Handled here, whenever it fails; told to the caller all the same.
    answer.catch(() => undefined);
    await this.#clock.advance(1);
    return await answer;
  }

  write(name: string, operation: WriteOperation): Promise<WriteResult> {
    return this.#settled(this.store.write({ key: key(name), operation }));
  }

  put(name: string, value: object): Promise<WriteResult> {
    return this.write(name, { kind: "put", body: JSON.stringify(value) });
  }

  patch(name: string, value: object): Promise<WriteResult> {
    return this.write(name, { kind: "patch", body: JSON.stringify(value) });
  }

  remove(name: string): Promise<WriteResult> {
    return this.write(name, { kind: "delete", reason: "" });
  }

  restore(id: number): Promise<WriteResult> {
    return this.#settled(this.store.contents.restore(id));
  }

  read(name: string): string | undefined {
    return this.store.get(key(name))?.json;
  }

  /** What this store would send of the document. */
  sent(name: string) {
    const state = this.store.stateFor(key(name));
    if (state === undefined) throw new Error(`nothing to send of ${name}`);
    return { key: key(name), ...state };
  }

  async take(
    incoming: ReturnType<AgingStore["sent"]>,
    suspectUntil?: number,
  ): Promise<MergeOutcome["kind"]> {
    const merged = this.store.merge({ ...incoming, suspectUntil }, "peer");
    return (await this.#settled(merged)).kind;
  }

  /** All that is to be let go now. */
  collect(): { tombstones: number; documents: number } {
    let [tombstones, documents] = [0, 0];
    for (let hasMore = true; hasMore; ) {
      const turn = this.store.collectGarbage();
      tombstones += turn.tombstones;
      documents += turn.documents;
      hasMore = turn.hasMore;
    }
    return { tombstones, documents };
  }

  [Symbol.dispose](): void {
    this.#spy?.mockRestore();
    this.store.close();
    this.#folder[Symbol.dispose]();
  }
}

/** What a subscriber of the present has been told, as "key json"; it is told nothing more. */
export async function toldBy(feed: Subscription): Promise<string[]> {
  const told: string[] = [];
  feed.close();
  for (let taken = await feed.take(); taken !== undefined; taken = await feed.take()) {
    told.push(
      taken.kind === "item" ? `${taken.item.document.key} ${taken.item.document.json}` : "gap",
    );
  }
  return told;
}

/** The code of the fault that a write ends with, or "done". */
export async function codeOf(write: Promise<unknown>): Promise<string> {
  return await write.then(
    () => "done",
    (error: unknown) => (error instanceof Fault ? error.code : `not a fault: ${error}`),
  );
}

/** Contents that are kept, by key. */
export function kept({ store }: AgingStore, why: "deleted" | "orphan" = "deleted") {
  return store.contents
    .list({ why, limit: 100, after: 0 })
    .map(({ key: name, id }) => `${name} ${store.contents.read(id)}`);
}

/** Number of the first of them. */
export function idOf({ store }: AgingStore, why: "deleted" | "orphan" = "deleted"): number {
  return store.contents.list({ why, limit: 1, after: 0 })[0]?.id ?? -1;
}
