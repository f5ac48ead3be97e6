// Collections whose sync mode, deletion rule or lifetime differs between a peer and this node. What one of them
// drops or keeps by its rule the other would bring back or miss for ever: so they are pushed and joined like all
// others, but not compared.
import { getLog } from "../base/log.ts";
import { CollectionPolicies, NO_CHOICES } from "../store/collection-policies.ts";
import { splitKey } from "../store/document-key.ts";
import type { Store } from "../store/store.ts";
import type { RuleEntry } from "../wire/native.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

/** What comparing needs of a store. */
export type ComparedStore = Pick<
  Store,
  "horizon" | "sum" | "leaves" | "hashOf" | "headsOf" | "hasHeads"
>;

/** No collection has this name: under it a node tells for how long it remembers deletions. */
const MEMORY = "";
/** The rules of a collection that nobody names. */
const UNNAMED = new CollectionPolicies(NO_CHOICES).describe("any");

/** As the peer is told: whatever is named here, and the memory. */
export function rulesOf(policies: CollectionPolicies): RuleEntry[] {
  return [
    { collection: MEMORY, rules: String(policies.memorySecs) },
    ...policies.named().map((collection) => ({ collection, rules: policies.describe(collection) })),
  ];
}

export class RuleDifferences {
  readonly #store: Store;
  readonly #peerName: string;
  /** Undefined until the peer has told its rules. */
  #compared: ComparedStore | undefined;
  #collections: readonly string[] = [];

  /** `areEqual`: both rules have one fingerprint, so nothing has to be told. */
  constructor(store: Store, options: { peerName: string; areEqual: boolean }) {
    this.#store = store;
    this.#peerName = options.peerName;
    if (options.areEqual) this.#compared = store;
  }

  /** The store without the collections that differ; undefined while nobody knows which these are. */
  get compared(): ComparedStore | undefined {
    return this.#compared;
  }

  get isAllCompared(): boolean {
    return this.#compared !== undefined && this.#collections.length === 0;
  }

  get collections(): readonly string[] {
    return this.#collections;
  }

  /** Takes the peer's rules. */
  told(rules: readonly RuleEntry[]): void {
    const own = this.#store.policies;
    const theirs = new Map(rules.map((entry) => [entry.collection, entry.rules]));
    const memory = theirs.get(MEMORY);
    theirs.delete(MEMORY);
    if (memory !== String(own.memorySecs)) {
      // It concerns all that people store, and only what was deleted long ago: nothing is left out for it.
      log.warn(
        "A peer remembers deletions for another time; what only one of both has forgotten will be compared again and again: set PEAT_DELETION_MEMORY_DAYS alike",
        { peer: this.#peerName, seconds: memory ?? "unknown", ours: own.memorySecs },
      );
    }
    const named = new Set([...own.named(), ...theirs.keys()]);
    this.#collections = [...named].filter(
      (collection) => (theirs.get(collection) ?? UNNAMED) !== own.describe(collection),
    );
    this.#compared =
      this.#collections.length === 0 ? this.#store : without(this.#store, this.#collections);
    if (this.#collections.length === 0) return;
    log.warn(
      "Sync modes, deletion rules or lifetimes differ from a peer's; these collections are sent but not compared: set PEAT_SYNC_MODES, PEAT_DELETION_POLICIES and PEAT_TTL_PRESET alike",
      { peer: this.#peerName, collections: this.#collections.join(",") },
    );
  }
}

function without(store: Store, collections: readonly string[]): ComparedStore {
  const apart = new Set(collections);
  return {
    get horizon() {
      return store.horizon;
    },
    sum: (prefix, horizon) => store.sum(prefix, horizon, apart),
    leaves: (prefix, horizon) =>
      store.leaves(prefix, horizon).filter(({ key }) => !apart.has(splitKey(key).collection)),
    hashOf: (key) => store.hashOf(key),
    headsOf: (key) => store.headsOf(key),
    hasHeads: (key, heads) => store.hasHeads(key, heads),
  };
}
