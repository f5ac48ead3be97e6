// The guest emulator's links over real Iroh QUIC.
import {
  type BiStream,
  type Connection,
  Endpoint,
  EndpointAddr,
  EndpointId,
  type Incoming,
  RelayMode,
} from "@number0/iroh";
import {
  GUEST_ALPN,
  type GuestAddress,
  type GuestEndpoint,
  type GuestLink,
  type GuestStream,
  type OpenEndpoint,
} from "./link.ts";

// What is collected as garbage ends its connections, whoever still uses them.
const alive = new Set<Endpoint | Connection>();

function toBytes(text: string): number[] {
  return [...Buffer.from(text)];
}

/** Endpoints on loopback without relays; the port is any free one unless `bindAddress` says. */
export function overIroh(bindAddress = "127.0.0.1:0"): OpenEndpoint {
  return async ({ seed }) => {
    const builder = Endpoint.builder();
    builder.applyMinimal();
    builder.secretKey([...seed]);
    builder.alpns([toBytes(GUEST_ALPN)]);
    builder.relayMode(RelayMode.disabled());
    builder.bindAddr(bindAddress);
    // Iroh binds the other family as well; it stays on loopback too.
    builder.bindAddr("[::1]:0");
    const endpoint = await builder.bind();
    alive.add(endpoint);
    return new IrohEndpoint(endpoint);
  };
}

class IrohEndpoint implements GuestEndpoint {
  readonly addresses: readonly string[];
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.addresses = endpoint.boundSockets().filter((address) => !address.startsWith("["));
  }

  async connect({ id, addresses }: GuestAddress): Promise<GuestLink> {
    const remote = EndpointId.fromBytes([...Buffer.from(id, "hex")]);
    const address = new EndpointAddr(remote, undefined, [...addresses]);
    return toLink(await this.#endpoint.connect(address, toBytes(GUEST_ALPN)));
  }

  serve(onLink: (link: GuestLink) => void): void {
    void this.#acceptAll(onLink).catch(() => undefined);
  }

  async #acceptAll(onLink: (link: GuestLink) => void): Promise<void> {
    while (!this.#endpoint.isClosed()) {
      const incoming = await this.#endpoint.acceptNext();
      if (incoming === null) return;
      // A handshake that fails or hangs is that dialler's own affair.
      void accept(incoming).then(onLink, () => undefined);
    }
  }

  async close(): Promise<void> {
    await this.#endpoint.close();
    alive.delete(this.#endpoint);
  }

  /** Iroh always says goodbye with code 0: a silent death needs another process. */
  crash(): Promise<void> {
    return this.close();
  }
}

async function accept(incoming: Incoming): Promise<GuestLink> {
  const accepting = await incoming.accept();
  return toLink(await accepting.connect());
}

function toLink(connection: Connection): GuestLink {
  alive.add(connection);
  return {
    remoteId: connection.remoteId().toString(),
    openBi: async () => toStream(await connection.openBi()),
    acceptBi: () =>
      connection.acceptBi().then(toStream, () => {
        // It rejects for no other reason than the end of the connection, which `closed` tells.
        return undefined;
      }),
    close: (code, reason) => connection.close(BigInt(code), toBytes(reason)),
    closed: connection.closed().then((text) => {
      alive.delete(connection);
      return text.split("\n", 1)[0] ?? "";
    }),
  };
}

function toStream({ send, recv }: BiStream): GuestStream {
  return {
    write: (bytes) => send.writeAll([...bytes]),
    read: async (bytesMax) => {
      const bytes = await recv.read(bytesMax);
      return bytes.length === 0 ? undefined : Uint8Array.from(bytes);
    },
    finish: () => send.finish(),
    stop: (code) => recv.stop(BigInt(code)),
  };
}
