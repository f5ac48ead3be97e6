// How each collection is kept: with its whole history, a window of it, or its latest state only; what deleting
// means in it; how long its documents live. One table per process, from the built-in one, the settings,
// and what is set while it runs.
import { compareText } from "../base/text.ts";

export type SyncMode =
  | { readonly kind: "FullHistory" }
  | { readonly kind: "LatestOnly" }
  | { readonly kind: "WindowedHistory"; readonly windowSecs: number };

/** How a document's state is kept and joined; fixed at the first write of a life. */
export type Kind = "history" | "latest";

/** What becomes of a collection's deleted documents. */
export type DeletionPolicy =
  /** Content is kept and can be restored for as long as the tombstone; by default as long as deletions are remembered. */
  | { readonly kind: "soft_delete"; readonly ttlSecs?: number }
  /** The second write and any delete are refused. */
  | { readonly kind: "immutable" }
  | { readonly kind: "tombstone"; readonly ttlSecs: number }
  /** A document that was not written for so long is gone without a tombstone. */
  | { readonly kind: "implicit_ttl"; readonly ttlSecs: number };

export type TtlPreset = "default" | "tactical" | "long_duration" | "offline_node";

export interface CollectionPolicy {
  readonly mode: SyncMode;
  readonly deletion: DeletionPolicy;
  /** Seconds after its newest write for which a document is served; undefined: for ever. */
  readonly ttlSecs: number | undefined;
  /** Seconds for which a tombstone is kept whole, and content that can be restored with it; then a stub is left. */
  readonly tombstoneSecs: number;
}

export interface PolicyChoices {
  readonly modes: readonly { readonly collection: string; readonly mode: SyncMode }[];
  readonly deletions: readonly { readonly collection: string; readonly policy: DeletionPolicy }[];
  readonly ttlPreset: TtlPreset;
  /** Days for which a stub is kept; also how long soft_delete and immutable collections keep a tombstone. */
  readonly deletionMemoryDays: number;
}

export const NO_CHOICES: PolicyChoices = {
  modes: [],
  deletions: [],
  ttlPreset: "default",
  deletionMemoryDays: 180,
};

const HOUR_SECS = 3600;
const DAY_SECS = 24 * HOUR_SECS;
const FULL_HISTORY: SyncMode = { kind: "FullHistory" };
const LATEST_ONLY: SyncMode = { kind: "LatestOnly" };
const WINDOWED: SyncMode = { kind: "WindowedHistory", windowSecs: 300 };

/** The older node's table (peat-mesh 0.6.0), and ours for files; any other collection keeps its full history. */
const MODES: Readonly<Record<string, SyncMode>> = {
  beacons: LATEST_ONLY,
  platforms: LATEST_ONLY,
  tracks: LATEST_ONLY,
  nodes: LATEST_ONLY,
  cells: LATEST_ONLY,
  node_states: LATEST_ONLY,
  squad_summaries: LATEST_ONLY,
  platoon_summaries: LATEST_ONLY,
  company_summaries: LATEST_ONLY,
  file_distributions: LATEST_ONLY,
  track_history: WINDOWED,
  capability_history: WINDOWED,
};

/** The older node's deletion policies, and ours for files; every other collection is soft_delete. */
const DELETIONS: Readonly<Record<string, DeletionPolicy>> = {
  beacons: { kind: "implicit_ttl", ttlSecs: HOUR_SECS },
  platforms: { kind: "implicit_ttl", ttlSecs: HOUR_SECS },
  tracks: { kind: "tombstone", ttlSecs: HOUR_SECS },
  nodes: { kind: "tombstone", ttlSecs: 24 * HOUR_SECS },
  cells: { kind: "tombstone", ttlSecs: 24 * HOUR_SECS },
  alerts: { kind: "tombstone", ttlSecs: 4 * HOUR_SECS },
  file_distributions: { kind: "tombstone", ttlSecs: 24 * HOUR_SECS },
};

/** The older node's lifetimes by preset, in seconds. */
const TTL_SECS: Readonly<Record<TtlPreset, Readonly<Record<string, number>>>> = {
  default: { beacons: 600, node_positions: 600, capabilities: 7200, cells: 3600 },
  tactical: { beacons: 300, node_positions: 600, capabilities: 7200, cells: 3600 },
  long_duration: { beacons: 600, node_positions: 3600, capabilities: 172_800, cells: 3600 },
  offline_node: { beacons: 30, node_positions: 60, capabilities: 300, cells: 3600 },
};

/** Collections whose changes travel before others', and those that wait for them. */
const URGENT = ["alerts", "commands", "contact_reports"];
const BULK = ["track_history", "capability_history", "audit_logs"];

export const PRIORITY_CLASSES = 3;

export class CollectionPolicies {
  readonly #modes: ReadonlyMap<string, SyncMode>;
  readonly #deletions: Map<string, DeletionPolicy>;
  readonly #ttlSecs: ReadonlyMap<string, number>;
  /** Seconds for which stubs are kept. */
  readonly memorySecs: number;
  #fingerprint: string;

  constructor(choices: PolicyChoices) {
    this.#modes = new Map([
      ...Object.entries(MODES),
      ...choices.modes.map(({ collection, mode }) => [collection, mode] as const),
    ]);
    this.#deletions = new Map([
      ...Object.entries(DELETIONS),
      ...choices.deletions.map(({ collection, policy }) => [collection, policy] as const),
    ]);
    this.#ttlSecs = new Map(Object.entries(TTL_SECS[choices.ttlPreset]));
    this.memorySecs = choices.deletionMemoryDays * DAY_SECS;
    this.#fingerprint = this.#printFingerprint();
  }

  /** Equal for equal rules: SHA-256, first 16 bytes, of all that is named and of the memory, as 32 hex digits. */
  get fingerprint(): string {
    return this.#fingerprint;
  }

  /** Another deletion policy for a collection; rows that there are keep their times until somebody looks at them. */
  set(collection: string, deletion: DeletionPolicy): void {
    this.#deletions.set(collection, deletion);
    this.#fingerprint = this.#printFingerprint();
  }

  of(collection: string): CollectionPolicy {
    const deletion: DeletionPolicy = this.#deletions.get(collection) ?? { kind: "soft_delete" };
    const implicit = deletion.kind === "implicit_ttl" ? deletion.ttlSecs : undefined;
    const preset = this.#ttlSecs.get(collection);
    const ttlSecs =
      implicit === undefined || preset === undefined
        ? (implicit ?? preset)
        : Math.min(implicit, preset);
    const tombstoneSecs =
      "ttlSecs" in deletion ? (deletion.ttlSecs ?? this.memorySecs) : this.memorySecs;
    return { mode: this.#modes.get(collection) ?? FULL_HISTORY, deletion, ttlSecs, tombstoneSecs };
  }

  kindOf(collection: string): Kind {
    return this.of(collection).mode.kind === "FullHistory" ? "history" : "latest";
  }

  /** Collections of which only the latest state matters, the built-in ones first. */
  latestOnly(): readonly string[] {
    return [...this.#modes].filter(([, mode]) => mode.kind === "LatestOnly").map(([name]) => name);
  }

  /** Collections that are named anywhere, in order: only these can differ from the defaults for unknown ones. */
  named(): readonly string[] {
    const names = [...this.#modes.keys(), ...this.#deletions.keys(), ...this.#ttlSecs.keys()];
    return [...new Set(names)].sort(compareText);
  }

  /** One collection's rules as text, the same on every node that has the same ones. */
  describe(collection: string): string {
    const { mode, deletion, ttlSecs } = this.of(collection);
    const tombstone = "ttlSecs" in deletion ? deletion.ttlSecs : "memory";
    const window = mode.kind === "WindowedHistory" ? `:${mode.windowSecs}` : "";
    return `${mode.kind}${window} ${deletion.kind}:${tombstone} ttl:${ttlSecs ?? "none"}`;
  }

  #printFingerprint(): string {
    const lines = this.named().map((name) => `${name} ${this.describe(name)}\n`);
    lines.push(`${this.memorySecs}`);
    return new Bun.CryptoHasher("sha256").update(lines.join("")).digest("hex").slice(0, 32);
  }
}

/** 0 is sent first. */
export function priorityOf(collection: string): number {
  if (URGENT.includes(collection)) return 0;
  return BULK.includes(collection) ? 2 : 1;
}
