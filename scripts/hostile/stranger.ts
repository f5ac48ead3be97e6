// Somebody who speaks QUIC to a node, but not as a node would: raw endpoints of the transport, and the bytes by
// which a member greets.

import {
  type BiStream,
  type Connection,
  Endpoint,
  EndpointAddr,
  EndpointId as IrohEndpointId,
  RelayMode,
} from "@number0/iroh";
import type { Formation } from "../../src/identity/formation.ts";
import { type EndpointId, endpointIdBytes, parseNodeName } from "../../src/identity/peer.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { ALPN_NATIVE, encodeHello, FRAME_HELLO_TYPE } from "../../src/wire/hello.ts";

/** Where a node listens, and who it is. */
export interface Target {
  readonly id: EndpointId;
  /** `ip:port`. */
  readonly address: string;
}

export interface StrangerOptions {
  /** Ed25519 seed; by default one that nobody knows. */
  readonly seed?: Uint8Array;
  readonly bindAddress?: string;
  /** What it would answer itself if it were dialled. */
  readonly alpns?: readonly string[];
}

const textBytes = (text: string): number[] => [...new TextEncoder().encode(text)];

export class Stranger {
  readonly endpoint: Endpoint;
  // An endpoint or connection that is collected as garbage ends by itself.
  readonly #held = new Set<Connection>();

  private constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  static async open(options: StrangerOptions = {}): Promise<Stranger> {
    const builder = Endpoint.builder();
    builder.applyMinimal();
    builder.relayMode(RelayMode.disabled());
    builder.secretKey([...(options.seed ?? crypto.getRandomValues(new Uint8Array(32)))]);
    builder.alpns((options.alpns ?? [ALPN_NATIVE]).map(textBytes));
    builder.bindAddr(options.bindAddress ?? "127.0.0.1:0");
    return new Stranger(await builder.bind());
  }

  get id(): string {
    return this.endpoint.id().toString();
  }

  get address(): string {
    const [address] = this.endpoint.boundSockets();
    if (address === undefined) throw new Error("the stranger listens nowhere");
    return address;
  }

  /** Rejects when the node refuses the connection. */
  async connect({ id, address }: Target, alpn = ALPN_NATIVE): Promise<Connection> {
    const remote = IrohEndpointId.fromBytes([...endpointIdBytes(id)]);
    const to = new EndpointAddr(remote, undefined, [address]);
    const connection = await this.endpoint.connect(to, textBytes(alpn));
    this.#held.add(connection);
    return connection;
  }

  /** Takes every handshake that arrives, with whoever speaks one of its protocols; until it is closed. */
  async serve(): Promise<void> {
    while (!this.endpoint.isClosed()) {
      const incoming = await this.endpoint.acceptNext();
      if (incoming === null) return;
      try {
        const accepting = await incoming.accept();
        this.#held.add(await accepting.connect());
      } catch {
        // Who comes with another protocol has its answer from the transport.
      }
    }
  }

  drop(connection: Connection): void {
    connection.close(0n, []);
    this.#held.delete(connection);
  }

  async close(): Promise<void> {
    for (const connection of this.#held) connection.close(0n, []);
    this.#held.clear();
    await this.endpoint.close();
  }
}

/** What ended a connection: the code and words of the other side, or the transport's. */
export async function endOf(connection: Connection): Promise<string> {
  return ((await connection.closed()).split("\n")[0] ?? "").trim();
}

const START = "5".repeat(32);

/** A hello's frame; the name may be any text. */
export function helloFrame(name: string, start = START): Uint8Array {
  const policies = new CollectionPolicies(NO_CHOICES).fingerprint;
  const payload = encodeHello({ name, version: "9.9.9", start, policies, features: 0 });
  return encodeFrame({ key: "", type: FRAME_HELLO_TYPE, payload });
}

/** A member that has said hello and been answered: from here on it may say anything. */
export interface RawMember {
  readonly stranger: Stranger;
  readonly connection: Connection;
  readonly stream: BiStream;
  /** The endpoint closed once. */
  close(): Promise<void>;
}

export interface RawMemberOptions {
  readonly formation: Formation;
  readonly name: string;
  readonly start?: string;
  readonly bindAddress?: string;
}

/** Resolves once the node has admitted it. */
export async function joinAs(target: Target, options: RawMemberOptions): Promise<RawMember> {
  const name = parseNodeName(options.name);
  const stranger = await Stranger.open({
    seed: options.formation.endpointKey(name).seed.expose(),
    ...(options.bindAddress === undefined ? {} : { bindAddress: options.bindAddress }),
  });
  const { connection, stream } = await greetAs(stranger, target, options);
  return { stranger, connection, stream, close: () => stranger.close() };
}

/** Another connection of a member's endpoint. */
export async function greetAs(
  stranger: Stranger,
  target: Target,
  { name, start }: { name: string; start?: string },
): Promise<{ connection: Connection; stream: BiStream }> {
  const connection = await stranger.connect(target);
  const stream = await connection.openBi();
  await stream.send.writeAll([...helloFrame(name, start)]);
  // The node's own hello: only members hear it.
  await stream.recv.readExact(7);
  return { connection, stream };
}
