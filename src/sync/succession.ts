// A link that takes the place of another one to the same process of a peer: what waits and what was on its way goes
// on, if it does so at both ends. Else it would take a comparison of everything, over a link that just was too bad.
import type { DocumentKey } from "../store/document-key.ts";
import type { Agreement } from "./agreement.ts";
import type { Carrier } from "./carrier.ts";
import type { Outbox } from "./outbox.ts";

/** What one session leaves to the next. */
export interface Legacy {
  readonly outbox: Outbox;
  readonly carrier: Carrier;
  readonly agreement: Agreement;
  /** On their way, or parts of them. */
  readonly unacknowledged: readonly DocumentKey[];
}

export class Succession {
  #legacy: Legacy | undefined;
  #hasPeerResumed = false;
  #hasBegun = false;

  /** `legacy`: undefined if nothing goes on at this end. */
  constructor(legacy: Legacy | undefined) {
    this.#legacy = legacy;
  }

  /** Whether this end goes on; the peer is told so before anything else. */
  get goesOn(): boolean {
    return this.#legacy !== undefined;
  }

  /**
   * Whether there is something to leave to the next link: the peer has taken part in this one, or this one itself has
   * not yet taken over what it was left.
   */
  get hasBegun(): boolean {
    return this.#hasBegun || this.goesOn;
  }

  /** The peer goes on. */
  resumed(): void {
    this.#hasPeerResumed = true;
  }

  /**
   * The peer has introduced itself: had it anything to go on with, it would have said so before. Whether `agreement`
   * begins anew, though this end went on.
   */
  introduced(agreement: Agreement): { readonly beginsAnew: boolean } {
    const legacy = this.#legacy;
    this.#legacy = undefined;
    this.#hasBegun = true;
    if (legacy !== undefined && this.#hasPeerResumed) agreement.resume(legacy.agreement);
    return { beginsAnew: legacy !== undefined && !this.#hasPeerResumed };
  }
}
