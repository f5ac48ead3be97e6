// PORT PeerSource: something that knows of peers (a static list, mDNS, Kubernetes) and says so as they come and go.
import type { PeerEvent } from "../identity/peer.ts";

export interface PeerSource {
  /** For logs and settings: `static`, `mdns`, `kubernetes`. */
  readonly name: string;
  /** Why it can't find anybody at the moment, in words; undefined while nothing is wrong. */
  readonly trouble: string | undefined;
  /**
   * Starts looking; `emit` is called for every event until close(). Resolves when the source is working.
   * A source heals by itself; it rejects only for what no waiting can mend.
   */
  start(emit: (event: PeerEvent) => void): Promise<void>;
  /** Stops, and says goodbye to others where the mechanism has it. */
  close(): Promise<void>;
}
