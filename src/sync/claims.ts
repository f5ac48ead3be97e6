// Which peer a document is being settled with. When a change is named by several peers at once, one is asked for it;
// the others would send the same again. A claim is a delay and never a decision: it runs out, and sums find the rest.
import type { Clock } from "../base/clock.ts";
import type { DocumentKey } from "../store/document-key.ts";

/** Round trips that settling may take, and how long at least. */
const ROUND_TRIPS = 4;
const CLAIM_MS_MIN = 1_500;
/** Beyond it documents are settled with whoever names them. */
const CLAIMS_MAX = 50_000;

interface Claim {
  readonly by: object;
  readonly until: number;
}

export class Claims {
  readonly #clock: Clock;
  /** Those that are put in first mostly run out first. */
  readonly #byKey = new Map<DocumentKey, Claim>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether `peer` may settle the document now; the others may not for some of its round trips. */
  claim(peer: object, key: DocumentKey, rttMs: number | undefined): boolean {
    const now = this.#clock.monotonic();
    const claim = this.#byKey.get(key);
    if (claim !== undefined && claim.by !== peer && claim.until > now) return false;
    this.#byKey.delete(key);
    this.#forgetOld(now);
    if (this.#byKey.size < CLAIMS_MAX) {
      const until = now + Math.max(CLAIM_MS_MIN, ROUND_TRIPS * (rttMs ?? 0));
      this.#byKey.set(key, { by: peer, until });
    }
    return true;
  }

  /** The document has arrived from `peer`. */
  settled(peer: object, key: DocumentKey): void {
    if (this.#byKey.get(key)?.by === peer) this.#byKey.delete(key);
  }

  /** The peer is gone, and settles nothing any more. */
  drop(peer: object): void {
    for (const [key, { by }] of this.#byKey) if (by === peer) this.#byKey.delete(key);
  }

  #forgetOld(now: number): void {
    for (const [key, { until }] of this.#byKey) {
      if (until > now) return;
      this.#byKey.delete(key);
    }
  }
}
