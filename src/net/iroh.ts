// The network of production: Iroh QUIC. The only file that knows the Iroh package.
import {
  type BiStream,
  type Connection,
  Endpoint,
  EndpointAddr,
  type Incoming,
  EndpointId as IrohEndpointId,
  RelayMode,
} from "@number0/iroh";
import { fromUtf8, toUtf8 } from "../base/bytes.ts";
import { systemClock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { type EndpointId, endpointIdBytes, parseEndpointId } from "../identity/peer.ts";
import { ALPN_GUEST } from "../wire/hello.ts";
import {
  type ByteStream,
  DialError,
  type DialTarget,
  type IncomingLink,
  type Link,
  type LinkEnd,
  type LinkPath,
  type Network,
} from "./link.ts";
import { CLOSE } from "./membership.ts";

export interface IrohOptions {
  /** Ed25519 seed, 32 bytes. */
  readonly secretKey: Uint8Array;
  /** `ip:port`; port 0 takes any. */
  readonly bindAddress: string;
  /** None: no relay is ever used, and nothing is looked up anywhere. */
  readonly relayUrls: readonly string[];
  readonly alpns: readonly string[];
}

// Collecting an Endpoint as garbage ends its connections, whoever still uses them.
const alive = new Set<Endpoint | Connection>();

/** For goodbyes to leave. A dial that nobody answers would hold the transport for three seconds more. */
const CLOSE_MS = 300;

/** The transport has no codes; the certificate of a node is its key alone, and no other is believed. */
const DIAL_CAUSE_STRANGER = /invalid peer certificate/i;
const DIAL_CAUSE_NO_PROTOCOL = /error 120|no known protocol|no application protocol/i;

/** Ten times as quick as Array.from, which asks every typed array for its iterator. */
function toArray(bytes: Uint8Array): number[] {
  const { length } = bytes;
  const array = new Array<number>(length);
  for (let index = 0; index < length; index += 1) array[index] = bytes[index] ?? 0;
  return array;
}

/** Fault `address_unavailable` when the address can't be bound. */
export async function openIrohNetwork(options: IrohOptions): Promise<Network> {
  const confined = confinement(options.bindAddress);
  try {
    return await bind(options, confined);
  } catch (cause) {
    if (confined !== undefined) {
      // A host without the other family: nothing has to be confined there.
      const network = await bind(options, undefined).catch(() => undefined);
      if (network !== undefined) return network;
    }
    const told = withoutPlaces(messageOf(cause));
    const sentence = `UDP address ${options.bindAddress} can't be bound (${told}); set another PEAT_IROH_BIND_PORT`;
    throw new Fault("address_unavailable", sentence, {}, cause);
  }
}

/**
 * Iroh always opens a socket of the other address family too, on all addresses unless told otherwise. Who binds
 * to one address wants to be reached there only, so the other socket is kept to loopback.
 */
function confinement(bindAddress: string): string | undefined {
  if (/^(?:0\.0\.0\.0|\[::\]):/.test(bindAddress)) return undefined;
  return bindAddress.startsWith("[") ? "127.0.0.1:0" : "[::1]:0";
}

async function bind(options: IrohOptions, confined: string | undefined): Promise<Network> {
  const builder = Endpoint.builder();
  // The minimal preset: no public relays, no DNS lookup, no publishing.
  builder.applyMinimal();
  builder.secretKey(toArray(options.secretKey));
  builder.alpns(options.alpns.map((alpn) => toArray(toUtf8(alpn))));
  builder.relayMode(
    options.relayUrls.length === 0
      ? RelayMode.disabled()
      : RelayMode.customFromUrls([...options.relayUrls]),
  );
  builder.bindAddr(options.bindAddress);
  if (confined !== undefined) builder.bindAddr(confined);
  const endpoint = await builder.bind();
  alive.add(endpoint);
  return new IrohNetwork(endpoint, options);
}

class IrohNetwork implements Network {
  readonly id: EndpointId;
  readonly #endpoint: Endpoint;

  readonly #isV6: boolean;
  readonly #relayUrls: readonly string[];

  constructor(endpoint: Endpoint, { bindAddress, relayUrls }: IrohOptions) {
    this.#endpoint = endpoint;
    this.#isV6 = bindAddress.startsWith("[");
    this.#relayUrls = relayUrls;
    this.id = parseEndpointId(endpoint.id().toString());
  }

  get hasRelay(): boolean {
    return this.#relayUrls.length > 0;
  }

  get boundAddresses(): readonly string[] {
    const ours = (address: string) => address.startsWith("[") === this.#isV6;
    const sockets = this.#endpoint.boundSockets();
    return [...sockets.filter(ours), ...sockets.filter((address) => !ours(address))];
  }

  async dial(target: DialTarget, alpn: string): Promise<Link> {
    const id = IrohEndpointId.fromBytes(toArray(endpointIdBytes(target.id)));
    try {
      const address = new EndpointAddr(id, this.#relayFor(target), [...target.addresses]);
      const connection = await this.#endpoint.connect(address, toArray(toUtf8(alpn)));
      return new IrohLink(connection, "outgoing");
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw dialError(text, cause);
    }
  }

  /** Which relay a peer is connected to nobody tells: one by chance, and perhaps another the next time. */
  #relayFor({ relayUrl }: DialTarget): string | undefined {
    return relayUrl ?? this.#relayUrls[Math.floor(Math.random() * this.#relayUrls.length)];
  }

  async nextIncoming(): Promise<IncomingLink | undefined> {
    while (!this.#endpoint.isClosed()) {
      const incoming = await this.#endpoint.acceptNext();
      if (incoming === null) return undefined;
      const remote = await remoteOf(incoming);
      if (remote !== undefined) return new IrohIncoming(incoming, remote);
    }
    return undefined;
  }

  async close(): Promise<void> {
    const closed = this.#endpoint.close().finally(() => alive.delete(this.#endpoint));
    await within(systemClock, CLOSE_MS, closed, undefined);
  }
}

function dialError(text: string, cause: unknown): DialError {
  if (DIAL_CAUSE_STRANGER.test(text)) {
    const told =
      "another identity answers at its address: another formation secret, or another name";
    return new DialError(told, "stranger", cause);
  }
  const kind = DIAL_CAUSE_NO_PROTOCOL.test(text) ? "no protocol" : "other";
  return new DialError(dialReason(text), kind, cause);
}

/** The reason stands in the lines below the first, the innermost last. */
function dialReason(text: string): string {
  const [told = ""] = text.split(/\n\s*Stack backtrace/, 1);
  const lines = told
    .split("\n")
    .map((line) => line.replace(/^\s*(?:\d+:|at .*|Caused by:)?\s*/, "").trim())
    .filter((line) => line !== "");
  return withoutPlaces(lines.slice(0, 4).join(": ")).slice(0, 300);
}

/** The library's own source paths say nothing to anybody here. */
function withoutPlaces(text: string): string {
  return text.replace(/\s*\(\/[^()]*(?:\([^()]*\))?[^()]*\)/g, "");
}

interface Remote {
  readonly address: string;
  readonly isHeard: boolean;
}

async function remoteOf(incoming: Incoming): Promise<Remote | undefined> {
  try {
    const { addr, kind, endpointId } = await incoming.remoteAddr();
    // All that a relay forwards comes from one address, its own; it has proved whose each is.
    if (endpointId !== undefined) return { address: endpointId, isHeard: true };
    return { address: addr ?? kind, isHeard: await incoming.remoteAddrValidated() };
  } catch {
    // The attempt ended before anybody looked at it.
    return undefined;
  }
}

class IrohIncoming implements IncomingLink {
  readonly remoteAddress: string;
  readonly isHeard: boolean;
  readonly #incoming: Incoming;

  constructor(incoming: Incoming, { address, isHeard }: Remote) {
    this.#incoming = incoming;
    this.remoteAddress = address;
    this.isHeard = isHeard;
  }

  async accept(): Promise<Link> {
    const accepting = await this.#incoming.accept();
    return new IrohLink(await accepting.connect(), "incoming");
  }

  refuse(): Promise<void> {
    return this.#incoming.refuse();
  }

  retry(): Promise<void> {
    return this.#incoming.retry();
  }
}

class IrohLink implements Link {
  readonly remoteId: EndpointId;
  readonly alpn: string;
  readonly direction: "outgoing" | "incoming";
  readonly ended: Promise<LinkEnd>;
  readonly #connection: Connection;
  #closed: LinkEnd | undefined;

  constructor(connection: Connection, direction: "outgoing" | "incoming") {
    this.#connection = connection;
    this.direction = direction;
    this.remoteId = parseEndpointId(connection.remoteId().toString());
    this.alpn = fromUtf8(Uint8Array.from(connection.alpn()));
    alive.add(connection);
    void this.#refuseUni();
    this.ended = connection.closed().then((text) => {
      alive.delete(connection);
      return this.#closed ?? parseEnd(text);
    });
  }

  /** Streams in one direction belong to our dialect never, and to the older one as heartbeats of no use. */
  async #refuseUni(): Promise<void> {
    try {
      while (true) {
        const stream = await this.#connection.acceptUni();
        if (this.alpn !== ALPN_GUEST) {
          this.close(CLOSE.protocol.code, CLOSE.protocol.reason);
          return;
        }
        await stream.stop(0n);
      }
    } catch {
      // A pending accept rejects when the link closes; `ended` tells why.
    }
  }

  async openStream(): Promise<ByteStream> {
    return new IrohStream(await this.#connection.openBi());
  }

  async acceptStream(): Promise<ByteStream | undefined> {
    try {
      return new IrohStream(await this.#connection.acceptBi());
    } catch {
      // A pending accept rejects when the link closes; `ended` tells why.
      return undefined;
    }
  }

  close(code: number, reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = { by: "us", code, reason };
    this.#connection.close(BigInt(code), toArray(toUtf8(reason)));
  }

  path(): LinkPath {
    const paths = this.#connection.paths();
    const path = paths.find((p) => p.isSelected) ?? paths[0];
    if (path === undefined) return { kind: "unknown", address: undefined, rttMs: undefined };
    return {
      kind: path.isRelay ? "relay" : "direct",
      address: path.remoteAddr,
      rttMs: this.#connection.rtt() ?? undefined,
    };
  }

  traffic(): { sentBytes: number; receivedBytes: number } {
    const stats = this.#connection.stats();
    return { sentBytes: stats.udpTxBytes, receivedBytes: stats.udpRxBytes };
  }
}

/** `closed by peer: formation auth failed (code 1)`, `closed by peer: 0`, `timed out`, … */
function parseEnd(text: string): LinkEnd {
  const line = text.split("\n", 1)[0] ?? "";
  const match = /^closed by peer: (?:(.*?)\s*\(code (\d+)\)|(\d+))$/.exec(line);
  if (match === null) return { by: "transport", code: undefined, reason: line };
  return { by: "peer", code: Number(match[2] ?? match[3]), reason: match[1] ?? "" };
}

class IrohStream implements ByteStream {
  readonly #send: BiStream["send"];
  readonly #recv: BiStream["recv"];

  constructor(stream: BiStream) {
    this.#send = stream.send;
    this.#recv = stream.recv;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#send.writeAll(toArray(bytes));
  }

  async read(bytesMax: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#recv.read(bytesMax);
    return bytes.length === 0 ? undefined : new Uint8Array(bytes);
  }

  finish(): Promise<void> {
    return this.#send.finish();
  }

  stop(code: number): Promise<void> {
    return this.#recv.stop(BigInt(code));
  }
}
