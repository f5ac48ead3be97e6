// When and how each peer was last connected: a peer that nobody looks for any more is known by this alone.
import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../identity/peer.ts";
import type { PeerNotice } from "../sync/coordinator.ts";

/** Names that are remembered; the earliest parting is forgotten first. */
const NAMES_MAX = 1_000;

export interface Parting {
  readonly name: NodeName;
  /** Ms since the Unix epoch. */
  readonly atMs: number;
  /** In the words of whoever ended the connection. */
  readonly reason: string;
}

export class Partings {
  readonly #clock: Clock;
  readonly #byName = new Map<NodeName, Parting>();

  constructor(clock: Clock, onPeer: (listener: (notice: PeerNotice) => void) => void) {
    this.#clock = clock;
    onPeer((notice) => this.#take(notice));
  }

  of(name: NodeName): Parting | undefined {
    return this.#byName.get(name);
  }

  /** Of peers that are not connected now. */
  get all(): readonly Parting[] {
    return [...this.#byName.values()];
  }

  #take(notice: PeerNotice): void {
    const { name } = notice;
    this.#byName.delete(name);
    if (notice.kind === "connected") return;
    this.#byName.set(name, { name, atMs: this.#clock.now(), reason: notice.reason });
    for (const oldest of this.#byName.keys()) {
      if (this.#byName.size <= NAMES_MAX) break;
      this.#byName.delete(oldest);
    }
  }
}
