// What deleting means in a collection, set while the node runs: kept in the file, in force before the caller is
// answered, also for the documents that are there.
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { compareText } from "../base/text.ts";
import type { CollectionPolicies, DeletionPolicy } from "./collection-policies.ts";
import type { Database } from "./database.ts";
import { changedRows, type Expiry, rememberPolicies } from "./expiry.ts";
import type { Tally } from "./tally.ts";

const log = getLog("peat_mesh::storage::automerge_store");

const POLICIES = ["soft_delete", "tombstone", "implicit_ttl", "immutable"] as const;

/** As it was set: a time that is 0 or not given is the default. */
export interface CollectionConfig {
  readonly collection: string;
  readonly policy: (typeof POLICIES)[number];
  readonly softDeleteTtlSecs?: number;
  readonly tombstoneTtlSecs?: number;
}

const META = "collection_configs";
const CONFIGS_MAX = 4_096;
/** The older sidecar's: 168 hours. */
const DEFAULT_TTL_SECS = 168 * 3_600;
/** Times have at most ten digits, as in PEAT_DELETION_POLICIES. */
export const TTL_SECS_MAX = 9_999_999_999;

function deletionOf(config: CollectionConfig): DeletionPolicy {
  const { softDeleteTtlSecs = 0, tombstoneTtlSecs = 0 } = config;
  const ttlSecs = tombstoneTtlSecs === 0 ? DEFAULT_TTL_SECS : tombstoneTtlSecs;
  switch (config.policy) {
    case "soft_delete":
      return softDeleteTtlSecs === 0
        ? { kind: "soft_delete" }
        : { kind: "soft_delete", ttlSecs: softDeleteTtlSecs };
    case "tombstone":
      return { kind: "tombstone", ttlSecs };
    case "implicit_ttl":
      return { kind: "implicit_ttl", ttlSecs };
    case "immutable":
      return { kind: "immutable" };
  }
}

function isTime(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && value >= 0 && value <= TTL_SECS_MAX);
}

function isConfig(value: unknown): value is CollectionConfig {
  const config = value as CollectionConfig | null;
  return (
    typeof config?.collection === "string" &&
    POLICIES.includes(config.policy) &&
    isTime(config.softDeleteTtlSecs) &&
    isTime(config.tombstoneTtlSecs)
  );
}

/** What the file holds. What is not ours is told and left out: the settings' policies hold then. */
function readConfigs(database: Database): CollectionConfig[] {
  const text = database.meta(META);
  if (text === undefined) return [];
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every(isConfig)) return list;
  } catch {
    // Told below.
  }
  log.warn("Stored collection configs can't be read; set them again");
  return [];
}

/** Puts what the file holds over what the settings say. To be called before the policies are applied. */
export function adoptConfigs(database: Database, policies: CollectionPolicies): void {
  for (const config of readConfigs(database)) policies.set(config.collection, deletionOf(config));
}

export interface CollectionConfigsOptions {
  readonly database: Database;
  readonly policies: CollectionPolicies;
  readonly clock: Clock;
  readonly tally: Tally;
  readonly expiry: Expiry;
}

export class CollectionConfigs {
  readonly #options: CollectionConfigsOptions;
  readonly #configs: Map<string, CollectionConfig>;
  readonly #listeners = new Set<() => void>();
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Rows that there were may still be kept by earlier rules. */
  #isBehind = false;

  constructor(options: CollectionConfigsOptions) {
    this.#options = options;
    const configs = readConfigs(options.database);
    this.#configs = new Map(configs.map((config) => [config.collection, config]));
  }

  /** No change is begun any more, and one that is under way goes on at the next start. */
  close(): void {
    this.#isClosed = true;
  }

  get(collection: string): CollectionConfig | undefined {
    return this.#configs.get(collection);
  }

  /** In the order of their names. */
  list(): readonly CollectionConfig[] {
    return [...this.#configs.values()].sort((a, b) => compareText(a.collection, b.collection));
  }

  /** Called when a collection is kept by other rules than before. Returns the way to end that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Replaces the collection's config; one after the other. Resolves when it is durable and in force. Faults:
   * overloaded, storage_full, storage_failed, not_ready.
   */
  set(config: CollectionConfig): Promise<void> {
    const before = this.#last;
    const done = before.then(() => this.#set(config));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #set(config: CollectionConfig): Promise<void> {
    const { database, policies, clock } = this.#options;
    this.#checkOpen();
    const { collection } = config;
    if (!this.#configs.has(collection) && this.#configs.size >= CONFIGS_MAX) {
      throw new Fault("overloaded", `${CONFIGS_MAX} collections are configured already`);
    }
    const configs = new Map(this.#configs).set(collection, config);
    const text = JSON.stringify([...configs.values()]);
    database.write([], [], clock.now(), () => database.setMeta(META, text));
    this.#configs.set(collection, config);
    const rules = policies.describe(collection);
    policies.set(collection, deletionOf(config));
    if (policies.describe(collection) === rules && !this.#isBehind) return;
    this.#isBehind = true;
    log.info("Collection rules changed", { collection, rules: policies.describe(collection) });
    try {
      await this.#applyToRows();
      this.#isBehind = false;
    } finally {
      for (const listener of this.#listeners) listener();
    }
  }

  /** A page at a time: what is written meanwhile is written by the new rules. */
  async #applyToRows(): Promise<void> {
    const { database, policies, clock, tally, expiry } = this.#options;
    const until = database.lastSeq();
    for (let after = 0; after < until; ) {
      const { changed, last } = changedRows(database, policies, after);
      const rows = changed.map(({ row }) => row);
      if (rows.length > 0) {
        database.write(rows, [], clock.now());
        for (const { before, row } of changed) tally.replace(before, row);
        expiry.committed(rows);
      }
      if (last === undefined) break;
      after = last;
      await new Promise<void>((resolve) => clock.soon(resolve));
      this.#checkOpen();
    }
    try {
      rememberPolicies(database, policies);
    } catch (error) {
      // The next start looks at the rows again, and finds them right.
      log.debug("Applied policies not remembered", { cause: messageOf(error) });
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Fault("not_ready", "the node is stopping");
  }
}
