// This node, its peers, and the switch of sync.
import type { ServiceImpl } from "@connectrpc/connect";
import { type HostPort, type NodeName, parseEndpointId, parseHostPort } from "../identity/peer.ts";
import type { Coordinator } from "../sync/coordinator.ts";
import { fieldFault, inField, withField } from "./fields.ts";
import { NodePhase, type PeatSidecar } from "./gen/peat/sidecar/v1/sidecar_pb.ts";
import { ADDRESSES_MAX } from "./limits.ts";

type PeerCalls = Pick<
  ServiceImpl<typeof PeatSidecar>,
  | "getStatus"
  | "connectPeer"
  | "disconnectPeer"
  | "listPeers"
  | "startSync"
  | "stopSync"
  | "getSyncStats"
>;

export interface PeerParts {
  readonly nodeName: NodeName;
  /** 64 hex digits. */
  readonly endpointId: string;
  readonly sync: Pick<Coordinator, "sessions" | "guests" | "orders" | "traffic">;
  /** Whether the node serves what it should: all checks of readiness hold. */
  readonly isReady: () => boolean;
}

function readAddresses(addresses: readonly string[], relayUrl: string): HostPort[] {
  if (addresses.length === 0 && relayUrl === "") {
    throw fieldFault("addresses", "must have at least one host:port, unless relay_url is set");
  }
  if (addresses.length > ADDRESSES_MAX) {
    throw fieldFault("addresses", `has ${addresses.length} items; at most ${ADDRESSES_MAX}`);
  }
  return addresses.map((text, index) => inField(`addresses[${index}]`, () => parseHostPort(text)));
}

function readRelay(url: string): { relayUrl?: string } {
  if (url === "") return {};
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return { relayUrl: url };
  throw fieldFault("relay_url", "must be a URL that begins with http:// or https://");
}

export function peerCalls(parts: PeerParts, stopping: AbortSignal): PeerCalls {
  const { sync, nodeName, endpointId, isReady } = parts;
  const peers = () => [...sync.sessions, ...sync.guests];
  const phase = (): NodePhase => {
    if (stopping.aborted) return NodePhase.SHUTTING_DOWN;
    if (!isReady()) return NodePhase.INITIALIZING;
    return sync.orders.isSyncing ? NodePhase.SYNCING : NodePhase.READY;
  };
  return {
    getStatus() {
      return {
        nodeId: nodeName,
        endpointAddr: endpointId,
        syncActive: sync.orders.isSyncing,
        connectedPeers: peers().length,
        phase: phase(),
      };
    },

    async connectPeer({ endpointId: idText, addresses, relayUrl }, { signal }) {
      const id = inField("endpoint_id", () => parseEndpointId(idText));
      const hosts = readAddresses(addresses, relayUrl);
      const relay = readRelay(relayUrl);
      await withField("endpoint_id", () => sync.orders.connect({ id, hosts, ...relay }, signal));
      return {};
    },

    disconnectPeer({ endpointId: idText }) {
      sync.orders.disconnect(inField("endpoint_id", () => parseEndpointId(idText)));
      return {};
    },

    listPeers() {
      const shown = peers().map(({ link }) => {
        const { address } = link.path();
        const addresses = address === undefined ? [] : [address];
        return { endpointId: link.remoteId, addresses, connected: true };
      });
      return { peers: shown };
    },

    startSync() {
      sync.orders.startSync();
      return {};
    },

    stopSync() {
      sync.orders.stopSync();
      return {};
    },

    getSyncStats() {
      const { sentBytes, receivedBytes } = sync.traffic;
      return {
        syncActive: sync.orders.isSyncing,
        connectedPeers: peers().length,
        bytesSent: BigInt(sentBytes),
        bytesReceived: BigInt(receivedBytes),
      };
    },
  };
}
