// A source that falls silent about a peer has not seen it leave: where a network is cut, announcements end as the
// connection does. Who was connected stays known at its last addresses for a day, is dialled and is told of as missing.
import type { CancelTimer, Clock } from "../base/clock.ts";
import { identityKey, type NodeName, type PeerEvent } from "../identity/peer.ts";

const PATIENCE_MS = 24 * 60 * 60 * 1000;
/** Names of members; more than a formation has. The earliest is forgotten first. */
const NAMES_MAX = 4096;

export interface PatienceOptions {
  readonly clock: Clock;
  readonly tell: (source: string, event: PeerEvent) => void;
  /** Tells of each peer that has been connected. */
  readonly onPeer: (listener: (notice: { kind: string; name: NodeName }) => void) => () => void;
}

export class Patience {
  readonly #options: PatienceOptions;
  readonly #met = new Set<NodeName>();
  /** What is to be told in the end, by source and peer. */
  readonly #waiting = new Map<string, CancelTimer>();
  readonly #stopListening: () => void;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#stopListening = options.onPeer(({ name }) => this.#meet(name));
  }

  /** Takes what a source says and passes it on, at once or when there is nothing more to hope for. */
  handle(source: string, event: PeerEvent): void {
    const { clock, tell } = this.#options;
    const identity = event.kind === "gone" ? event.identity : event.peer.identity;
    const key = `${source} ${identityKey(identity)}`;
    this.#waiting.get(key)?.();
    this.#waiting.delete(key);
    const isMissed =
      event.kind === "gone" &&
      event.isSilent === true &&
      identity.kind === "name" &&
      this.#met.has(identity.name);
    if (!isMissed) {
      tell(source, event);
      return;
    }
    const giveUp = clock.after(PATIENCE_MS, () => {
      this.#waiting.delete(key);
      tell(source, event);
    });
    this.#waiting.set(key, giveUp);
  }

  close(): void {
    this.#stopListening();
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }

  #meet(name: NodeName): void {
    this.#met.delete(name);
    this.#met.add(name);
    for (const oldest of this.#met) {
      if (this.#met.size <= NAMES_MAX) break;
      this.#met.delete(oldest);
    }
  }
}
