// Connections that arrive, let in one by one: few strangers at a time, few from one address, and none for long.
import { type Clock, within } from "../base/clock.ts";
import { messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { FailureBudget } from "./failure-budget.ts";
import type { IncomingLink, Link, Network } from "./link.ts";
import { CLOSE } from "./membership.ts";

const log = getLog("peat_mesh::peer_connector");

const UNPROVED_MAX = 64;
const UNPROVED_PER_ADDRESS_MAX = 8;
/** For the handshake of the transport; the hello has a limit of its own. */
const HANDSHAKE_MS = 10_000;
/** Refusals are told at most once in this time, with their number. */
const TELL_EVERY_MS = 10_000;

const LATE = Symbol("late");

export interface AcceptorContext {
  readonly network: Network;
  readonly clock: Clock;
  /** Greets and admits; resolves when the link is proved or gone. Rejects with the reason of a refusal. */
  readonly arrived: (link: Link) => Promise<void>;
}

export class Acceptor {
  readonly #context: AcceptorContext;
  readonly #perAddress = new Map<string, number>();
  readonly #budget: FailureBudget;
  #unproved = 0;
  #refused = 0;
  #isClosed = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(context: AcceptorContext) {
    this.#context = context;
    this.#budget = new FailureBudget(context.clock);
  }

  /** Connections that were refused or turned out not to be of the formation. */
  get refused(): number {
    return this.#refused;
  }

  /** Accepts until the network is closed. */
  async run(): Promise<void> {
    while (true) {
      const incoming = await this.#context.network.nextIncoming();
      if (incoming === undefined) return;
      void this.#admit(incoming);
    }
  }

  /** Lets nobody in any more. */
  close(): void {
    this.#isClosed = true;
  }

  async #admit(incoming: IncomingLink): Promise<void> {
    if (this.#isClosed) {
      await incoming.refuse().catch(() => undefined);
      return;
    }
    const address = incoming.remoteAddress.replace(/:\d+$/, "");
    const fromHere = this.#perAddress.get(address) ?? 0;
    const isFull = this.#unproved >= UNPROVED_MAX || fromHere >= UNPROVED_PER_ADDRESS_MAX;
    if (isFull || this.#budget.isSpent(address)) {
      this.#tell(address, isFull ? "too many unproved connections" : "too many failed attempts");
      await incoming.refuse().catch(() => undefined);
      return;
    }
    this.#unproved += 1;
    this.#perAddress.set(address, fromHere + 1);
    try {
      const accepting = incoming.accept();
      const link = await within(this.#context.clock, HANDSHAKE_MS, accepting, LATE);
      if (link === LATE) {
        this.#tell(address, "handshake took too long");
        // It no longer counts as one of the few, so it must not come in after all.
        void accepting
          .then((late) => late.close(CLOSE.authFailed.code, CLOSE.authFailed.reason))
          .catch(() => undefined);
      } else await this.#greet(link, address);
    } catch (error) {
      this.#tell(address, messageOf(error));
    } finally {
      this.#unproved -= 1;
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    }
  }

  async #greet(link: Link, address: string): Promise<void> {
    try {
      await this.#context.arrived(link);
      this.#budget.proved(address);
    } catch (error) {
      // Only now: before the handshake is done an address may be anybody's invention.
      this.#budget.failed(address);
      throw error;
    }
  }

  #tell(address: string, cause: string): void {
    this.#refused += 1;
    const now = this.#context.clock.monotonic();
    if (now - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = now;
    log.warn("Connection refused", { address, cause, refused_so_far: this.#refused });
  }
}
