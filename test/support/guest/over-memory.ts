// The guest emulator's links over the simulated network: the only file here that knows the project's own ports.
import type { Link } from "../../../src/net/link.ts";
import type { MemoryEndpoint, MemoryNet } from "../memory-network.ts";
import {
  GUEST_ALPN,
  type GuestAddress,
  type GuestEndpoint,
  type GuestLink,
  type OpenEndpoint,
} from "./link.ts";

type EndpointId = Link["remoteId"];

/** An endpoint at `address` (`ip:port`) of `net`; free again for a restart once it is closed. */
export function overMemory(net: MemoryNet, address: string): OpenEndpoint {
  return async ({ id }) =>
    toEndpoint(net.open({ id: id as EndpointId, address, alpns: [GUEST_ALPN] }));
}

function toEndpoint(endpoint: MemoryEndpoint): GuestEndpoint {
  return {
    addresses: endpoint.boundAddresses,
    connect: async ({ id, addresses }: GuestAddress) =>
      toLink(await endpoint.dial({ id: id as EndpointId, addresses }, GUEST_ALPN)),
    serve: (onLink) => void acceptAll(endpoint, onLink),
    close: () => endpoint.close(),
    crash: async () => endpoint.crash(),
  };
}

async function acceptAll(
  endpoint: MemoryEndpoint,
  onLink: (link: GuestLink) => void,
): Promise<void> {
  while (true) {
    const incoming = await endpoint.nextIncoming();
    if (incoming === undefined) return;
    void incoming.accept().then((link) => onLink(toLink(link)));
  }
}

function toLink(link: Link): GuestLink {
  return {
    remoteId: link.remoteId,
    openBi: () => link.openStream(),
    acceptBi: () => link.acceptStream(),
    close: (code, reason) => link.close(code, reason),
    closed: link.ended.then(({ by, code, reason }) => `closed by ${by}: ${reason} (code ${code})`),
  };
}
