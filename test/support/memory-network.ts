// PORT Network, for simulations: many endpoints in one process over any Clock, and a hand that cuts them apart.
import type { Random } from "../../scripts/model/random.ts";
import type { Clock } from "../../src/base/clock.ts";
import type { EndpointId } from "../../src/identity/peer.ts";
import {
  DialError,
  type DialErrorKind,
  type DialTarget,
  type IncomingLink,
  type Link,
  type Network,
} from "../../src/net/link.ts";
import { Mailbox } from "./mailbox.ts";
import { MemoryLink } from "./memory-link.ts";
import type { LinkContext, PathOptions } from "./memory-route.ts";

const DEFAULT_PATH: PathOptions = {
  latencyMs: 5,
  bytesPerMs: 10_000,
  windowBytes: 256 * 1024,
  idleMs: 6_500,
  lossPercent: 0,
};
/** As QUIC gives up on an address where nobody answers. */
const DIAL_MS = 30_000;

interface EndpointOptions {
  readonly id: EndpointId;
  /** `ip:port`. */
  readonly address: string;
  readonly alpns: readonly string[];
}

interface Pair {
  readonly link: MemoryLink;
  readonly from: MemoryEndpoint;
  readonly to: MemoryEndpoint;
}

/** Bytes of one direction of a stream, in the order of sending. */
export interface SentPiece {
  readonly from: EndpointId;
  readonly to: EndpointId;
  /** The same for all pieces of one direction of one stream. */
  readonly stream: object;
  readonly bytes: Uint8Array;
}

/** The wires between all endpoints. */
export class MemoryNet {
  readonly clock: Clock;
  readonly random: Random;
  readonly #path: PathOptions;
  readonly #byAddress = new Map<string, MemoryEndpoint>();
  readonly #cuts = new Set<string>();
  #links: Pair[] = [];
  readonly #paths = new Map<string, PathOptions>();
  #bytes = 0;
  #frames = 0;
  #trace = 0n;
  #tap: ((piece: SentPiece) => void) | undefined;

  constructor(options: { clock: Clock; random: Random; path?: Partial<PathOptions> }) {
    this.clock = options.clock;
    this.random = options.random;
    this.#path = { ...DEFAULT_PATH, ...options.path };
  }

  /** All that was ever sent over links: bytes, and pieces handed to the transport. */
  get traffic(): { bytes: number; frames: number } {
    return { bytes: this.#bytes, frames: this.#frames };
  }

  /** A number for all that was ever sent, by whom and when: equal runs have equal ones. */
  get trace(): string {
    return this.#trace.toString(16);
  }

  /** What lies between two endpoints, from their next connection on. */
  setPath(a: EndpointId, b: EndpointId, path: Partial<PathOptions>): void {
    this.#paths.set(pairName(a, b), { ...this.#path, ...path });
  }

  #pathOf(a: EndpointId, b: EndpointId): PathOptions {
    return this.#paths.get(pairName(a, b)) ?? this.#path;
  }

  open(options: EndpointOptions): MemoryEndpoint {
    if (this.#byAddress.has(options.address)) throw new Error(`${options.address} is in use`);
    const endpoint = new MemoryEndpoint(this, options);
    this.#byAddress.set(options.address, endpoint);
    return endpoint;
  }

  /** Hears all that is sent from now on, by all links. */
  tap(listener: (piece: SentPiece) => void): void {
    this.#tap = listener;
  }

  /** Where an endpoint is, or "nowhere". */
  addressOf(id: EndpointId): string {
    const [address] = [...this.#byAddress].find(([, endpoint]) => endpoint.id === id) ?? [];
    return address ?? "nowhere";
  }

  isCut(a: EndpointId, b: EndpointId): boolean {
    return this.#cuts.has(pairName(a, b));
  }

  /** Nothing passes between the two until heal(); links die when they have heard nothing for too long. */
  cut(a: EndpointId, b: EndpointId): void {
    if (this.isCut(a, b)) return;
    this.#cuts.add(pairName(a, b));
    for (const link of this.#between(a, b)) link.lose();
  }

  heal(a: EndpointId, b: EndpointId): void {
    if (!this.#cuts.delete(pairName(a, b))) return;
    for (const link of this.#between(a, b)) link.regain();
  }

  /** The links that there are carry nothing any more, and don't notice: one end has another address. New ones do. */
  strand(a: EndpointId, b: EndpointId): void {
    for (const link of this.#between(a, b)) link.strand();
  }

  #between(a: EndpointId, b: EndpointId): MemoryLink[] {
    this.#links = this.#links.filter(({ link }) => !link.isDead);
    const name = pairName(a, b);
    return this.#links
      .filter(({ from, to }) => pairName(from.id, to.id) === name)
      .map(({ link }) => link);
  }

  linksOf(endpoint: MemoryEndpoint): MemoryLink[] {
    return this.#links.filter(({ from }) => from === endpoint).map(({ link }) => link);
  }

  forget(endpoint: MemoryEndpoint): void {
    const [address] = endpoint.boundAddresses;
    if (address !== undefined && this.#byAddress.get(address) === endpoint) {
      this.#byAddress.delete(address);
    }
    this.#links = this.#links.filter(({ link, from }) => from !== endpoint || !link.isDead);
  }

  async connect(from: MemoryEndpoint, target: DialTarget, alpn: string): Promise<Link> {
    const address = target.addresses.find((a) => this.#byAddress.has(a));
    const to = address === undefined ? undefined : this.#byAddress.get(address);
    const { latencyMs } = this.#pathOf(from.id, target.id);
    return new Promise((resolve, reject) => {
      const giveUp = this.clock.after(DIAL_MS, () => reject(new DialError("timed out", "other")));
      const later = (delayMs: number, run: () => void) => {
        this.clock.after(delayMs, () => {
          // An answer that a cut swallows is no answer.
          if (to !== undefined && !this.isCut(from.id, to.id)) run();
        });
      };
      const refuse = (reason: string, kind: DialErrorKind) => {
        later(latencyMs, () => {
          giveUp();
          reject(new DialError(reason, kind));
        });
      };
      from.onClosed(() => reject(new DialError("endpoint closed", "other")));
      later(2 * latencyMs, () => {
        if (to === undefined || to.isClosed || from.isClosed) return;
        if (to.id !== target.id)
          refuse("invalid peer certificate: another endpoint id", "stranger");
        else if (!to.alpns.includes(alpn))
          refuse("peer doesn't support any known protocol", "no protocol");
        else {
          const accept = () => {
            const { outgoing, incoming } = this.#link(from, to, alpn);
            later(latencyMs, () => {
              giveUp();
              if (from.isClosed) outgoing.vanish();
              else resolve(outgoing);
            });
            return incoming;
          };
          const arrive = (isHeard: boolean) =>
            to.arrive({
              remoteAddress: from.boundAddresses[0] ?? "",
              isHeard,
              accept: async () => accept(),
              refuse: async () => refuse("connection refused", "other"),
              retry: async () => {
                to.retries += 1;
                later(2 * latencyMs, () => arrive(true));
              },
            });
          arrive(false);
        }
      });
    });
  }

  #link(from: MemoryEndpoint, to: MemoryEndpoint, alpn: string) {
    const context: LinkContext = {
      clock: this.clock,
      random: this.random,
      path: this.#pathOf(from.id, to.id),
      isCut: () => this.isCut(from.id, to.id),
      sent: (part, stream, receiver) => {
        this.#bytes += part.length;
        this.#frames += 1;
        const what = Bun.hash(part, this.#trace);
        this.#trace = Bun.hash(`${from.id}${to.id}${this.clock.monotonic()}`, BigInt(what));
        const isForth = receiver === to.id;
        const ends = isForth ? { from: from.id, to: to.id } : { from: to.id, to: from.id };
        this.#tap?.({ ...ends, stream, bytes: part });
      },
    };
    const place = (endpoint: MemoryEndpoint) => ({
      id: endpoint.id,
      address: endpoint.boundAddresses[0] ?? "",
    });
    const pair = MemoryLink.pair(context, { dialer: place(from), listener: place(to) }, alpn);
    this.#links.push(
      { link: pair.outgoing, from, to },
      { link: pair.incoming, from: to, to: from },
    );
    if (context.isCut()) for (const link of [pair.outgoing, pair.incoming]) link.lose();
    return pair;
  }
}

function pairName(a: EndpointId, b: EndpointId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

export class MemoryEndpoint implements Network {
  readonly id: EndpointId;
  readonly hasRelay = false;
  readonly boundAddresses: readonly string[];
  readonly alpns: readonly string[];
  /** Attempts that it asked to come again. */
  retries = 0;
  readonly #net: MemoryNet;
  readonly #incoming = new Mailbox<IncomingLink>();
  readonly #closeListeners: (() => void)[] = [];
  #isClosed = false;

  constructor(net: MemoryNet, { id, address, alpns }: EndpointOptions) {
    this.#net = net;
    this.id = id;
    this.boundAddresses = [address];
    this.alpns = alpns;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onClosed(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  dial(target: DialTarget, alpn: string): Promise<Link> {
    if (this.#isClosed) return Promise.reject(new DialError("endpoint closed", "other"));
    return this.#net.connect(this, target, alpn);
  }

  nextIncoming(): Promise<IncomingLink | undefined> {
    return this.#incoming.take();
  }

  arrive(incoming: IncomingLink): void {
    this.#incoming.put(incoming);
  }

  async close(): Promise<void> {
    this.#end((link) => link.close(0, ""));
  }

  /** As SIGKILL does it: nobody is told. */
  crash(): void {
    this.#end((link) => link.vanish());
  }

  #end(leave: (link: MemoryLink) => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const link of this.#net.linksOf(this)) leave(link);
    this.#incoming.close();
    for (const tell of this.#closeListeners.splice(0)) tell();
    this.#net.forget(this);
  }
}
