// The node as this page last saw it: asked once a second while somebody can see the page, and kept when the node is
// gone.
import {
  type Collection,
  type Peer,
  parseCollections,
  parsePeers,
  parseStatus,
  type Status,
} from "./answers.ts";
import { API, ask, keepToken, Refusal } from "./asking.ts";
import { type Sample, withSample } from "./series.ts";

const LOOK_MS = 1_000;
/** Collections change rarely, and there may be many. */
const COLLECTIONS_EVERY = 5;

export type Sight =
  | { readonly kind: "starting" }
  | { readonly kind: "live" }
  /** Nobody looks at the page. */
  | { readonly kind: "paused" }
  /** No answer since `sinceMs`. */
  | {
      readonly kind: "away";
      readonly sinceMs: number;
      readonly message: string;
      /** It did answer, and `message` is what it said. */
      readonly isRefusal: boolean;
    }
  /** The node wants a token, or another one. */
  | { readonly kind: "token"; readonly message: string };

export interface NodeState {
  readonly sight: Sight;
  readonly nowMs: number;
  readonly status: Status | undefined;
  /** The version that this page is of. */
  readonly ownVersion: string | undefined;
  readonly peers: readonly Peer[];
  readonly collections: readonly Collection[];
  readonly samples: readonly Sample[];
  /** When each peer was last seen connected, and since when it is not. */
  readonly lostAtMs: ReadonlyMap<string, number>;
}

export class NodeWatch {
  #state: NodeState = {
    sight: { kind: "starting" },
    nowMs: Date.now(),
    status: undefined,
    ownVersion: undefined,
    peers: [],
    collections: [],
    samples: [],
    lostAtMs: new Map(),
  };
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  #looks = 0;

  get state(): NodeState {
    return this.#state;
  }

  /** Returns the way to end it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks from now on, whenever the page is visible. */
  start(): void {
    document.addEventListener("visibilitychange", () => this.#wake());
    addEventListener("online", () => this.#wake());
    this.#wake();
  }

  useToken(token: string): void {
    keepToken(token);
    this.#wake();
  }

  #wake(): void {
    clearTimeout(this.#timer);
    if (document.hidden) {
      if (this.#state.sight.kind === "live") this.#set({ sight: { kind: "paused" } });
      return;
    }
    void this.#look();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#ask();
    } catch (error) {
      this.#refused(error);
    } finally {
      this.#isLooking = false;
    }
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  async #ask(): Promise<void> {
    const isForCollections = this.#looks % COLLECTIONS_EVERY === 0;
    const [status, peers, collections] = await Promise.all([
      ask(`${API}/status`).then(parseStatus),
      ask(`${API}/peers`).then(parsePeers),
      isForCollections ? ask(`${API}/collections`).then(parseCollections) : undefined,
    ]);
    this.#looks += 1;
    const nowMs = Date.now();
    const { samples } = this.#state;
    this.#set({
      sight: { kind: document.hidden ? "paused" : "live" },
      nowMs,
      status,
      ownVersion: this.#state.ownVersion ?? status.version,
      peers,
      collections: collections ?? this.#state.collections,
      samples: withSample(samples, sampleOf(nowMs, status, peers)),
      lostAtMs: lostPeers(this.#state, peers, nowMs),
    });
  }

  #refused(error: unknown): void {
    const nowMs = Date.now();
    const { sight } = this.#state;
    const isToken = error instanceof Refusal && error.status === 401;
    const message = error instanceof Error ? error.message : String(error);
    if (isToken) {
      this.#set({ nowMs, sight: { kind: "token", message } });
      return;
    }
    // What comes back may be another start: everything is asked anew.
    this.#looks = 0;
    const isRefusal = error instanceof Refusal && error.status !== 0;
    const sinceMs = sight.kind === "away" ? sight.sinceMs : nowMs;
    this.#set({ nowMs, sight: { kind: "away", sinceMs, message, isRefusal } });
  }

  #set(change: Partial<NodeState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function highest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function sampleOf(atMs: number, status: Status, peers: readonly Peer[]): Sample {
  const connected = peers.filter(({ isConnected }) => isConnected);
  const traffic = connected.map(
    ({ name, sentBytes, receivedBytes }) =>
      [name, { sent: sentBytes, received: receivedBytes }] as const,
  );
  return {
    atMs,
    changes: status.changes,
    traffic: new Map(traffic),
    documents: status.documents,
    databaseBytes: status.databaseBytes,
    lagMs: highest(connected.map(({ lagMs }) => lagMs)),
    rttMs: highest(connected.map(({ rttMs }) => rttMs)),
  };
}

function lostPeers(
  { lostAtMs }: NodeState,
  peers: readonly Peer[],
  nowMs: number,
): ReadonlyMap<string, number> {
  const lost = peers
    .filter(({ isConnected }) => !isConnected)
    .map(({ name }) => [name, lostAtMs.get(name) ?? nowMs] as const);
  return new Map(lost);
}
