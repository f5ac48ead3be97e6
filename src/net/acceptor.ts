// Connections that arrive, let in one by one: few strangers at a time, few from one address, and none for long.
import { type Clock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { FailureBudget } from "./failure-budget.ts";
import type { IncomingLink, Link, Network } from "./link.ts";
import { CLOSE } from "./membership.ts";
import { sourceOf } from "./source.ts";

const log = getLog("peat_mesh::peer_connector");

const UNPROVED_MAX = 64;
const UNPROVED_PER_SOURCE_MAX = 8;
/** So many may come under addresses that anybody can have written; the others show first that they hear us. */
const UNHEARD_MAX = 16;
const UNHEARD_PER_SOURCE_MAX = 4;
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

/** One of the few that are inside and not proved. */
interface Place {
  readonly source: string;
  link: Link | undefined;
  isLost: boolean;
}

export class Acceptor {
  readonly #context: AcceptorContext;
  /** In the order of their coming. */
  readonly #places = new Set<Place>();
  readonly #perSource = new Map<string, number>();
  readonly #budget: FailureBudget;
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
    const source = sourceOf(incoming.remoteAddress);
    const fromHere = this.#perSource.get(source) ?? 0;
    const isFull = fromHere >= UNPROVED_PER_SOURCE_MAX;
    if (isFull || this.#budget.isSpent(source)) {
      this.#tell(source, isFull ? "too many unproved connections" : "too many failed attempts");
      await incoming.refuse().catch(() => undefined);
      return;
    }
    const isCrowded = this.#places.size >= UNHEARD_MAX || fromHere >= UNHEARD_PER_SOURCE_MAX;
    if (isCrowded && !incoming.isHeard) {
      await incoming.retry().catch(() => undefined);
      return;
    }
    if (this.#places.size >= UNPROVED_MAX) this.#makeRoom();
    const place: Place = { source, link: undefined, isLost: false };
    this.#places.add(place);
    this.#perSource.set(source, fromHere + 1);
    try {
      await this.#letIn(incoming, place);
    } catch (error) {
      if (isLeaving(error)) return;
      this.#tell(source, place.isLost ? "lost its place to a newer connection" : messageOf(error));
    } finally {
      this.#leave(place);
    }
  }

  async #letIn(incoming: IncomingLink, place: Place): Promise<void> {
    const accepting = incoming.accept();
    const link = await within(this.#context.clock, HANDSHAKE_MS, accepting, LATE);
    if (link === LATE) {
      this.#tell(place.source, "handshake took too long");
      // It no longer counts as one of the few, so it must not come in after all.
      void accepting.then(turnAway).catch(() => undefined);
      return;
    }
    place.link = link;
    if (place.isLost) turnAway(link);
    try {
      await this.#context.arrived(link);
      this.#budget.proved(place.source);
    } catch (error) {
      // Only now: before the handshake is done an address may be anybody's invention.
      this.#budget.failed(place.source);
      throw error;
    }
  }

  /** The oldest goes of those that come from where most do: a few machines can't keep a newcomer out. */
  #makeRoom(): void {
    let most = 0;
    let lost: Place | undefined;
    for (const place of this.#places) {
      const count = this.#perSource.get(place.source) ?? 0;
      if (count <= most) continue;
      most = count;
      lost = place;
    }
    if (lost === undefined) return;
    lost.isLost = true;
    if (lost.link !== undefined) turnAway(lost.link);
    this.#leave(lost);
  }

  #leave(place: Place): void {
    if (!this.#places.delete(place)) return;
    const left = (this.#perSource.get(place.source) ?? 1) - 1;
    if (left === 0) this.#perSource.delete(place.source);
    else this.#perSource.set(place.source, left);
  }

  #tell(address: string, cause: string): void {
    this.#refused += 1;
    const now = this.#context.clock.monotonic();
    if (now - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = now;
    log.warn("Connection refused", { address, cause, refused_so_far: this.#refused });
  }
}

/** Two nodes that dial each other at once have one link too many; nobody was refused. */
function isLeaving(error: unknown): boolean {
  return error instanceof Fault && error.details["isElsewhere"] === true;
}

function turnAway(link: Link): void {
  link.close(CLOSE.authFailed.code, CLOSE.authFailed.reason);
}
