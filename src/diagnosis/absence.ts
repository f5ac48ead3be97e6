// Why a peer is not connected, in a sentence with its remedy: for one document and for the whole node alike.
import type { Cause, CauseCode } from "../broker/diagnostics.ts";
import type { AwayFacts } from "./facts.ts";

interface Told {
  readonly code: CauseCode;
  readonly message: string;
  readonly remedy: string;
}

/** Of a node whose own sync runs. */
export function absenceOf(peer: AwayFacts): Cause {
  return { peer: peer.name, ...tellObstacle(peer) };
}

function places({ hosts }: AwayFacts): string {
  return hosts.length === 0 ? "by any relay" : `at ${hosts.slice(0, 4).join(", ")}`;
}

/** When it was last seen, for a sentence. */
function sinceParting({ parting }: AwayFacts): string {
  if (parting === undefined) return "; it has not been connected since this node's start";
  const why = parting.reason === "" ? "" : ` (${parting.reason})`;
  return `; it was connected until ${new Date(parting.atMs).toISOString()}${why}`;
}

function tellObstacle(peer: AwayFacts): Told {
  const { name } = peer;
  switch (peer.obstacle) {
    case "stopped":
      return {
        code: "sync_stopped",
        message: `sync is stopped on ${name}`,
        remedy: `run peat-sidecar sync start on ${name}`,
      };
    case "unwanted":
      return {
        code: "kept_away",
        message: `${name} keeps this node away by order`,
        remedy: `have ${name} connect to this node again (ConnectPeer), or restart it`,
      };
    case "held":
      return {
        code: "kept_away",
        message: `this node keeps ${name} away by order`,
        remedy: `connect it again (ConnectPeer), or restart this node`,
      };
    case "duplicate":
      return {
        code: "duplicate_name",
        message: `${name} is connected to another node that has this node's name`,
        remedy: "give each node its own PEAT_NODE_ID, or each cluster its own PEAT_CLUSTER_NAME",
      };
    case "stranger":
      return {
        code: "other_identity",
        message: `who answers ${places(peer)} is not ${name} of this formation: its formation secret or its name is another`,
        remedy: `give both nodes the same PEAT_FORMATION_SECRET, and call the peer in PEAT_STATIC_PEERS by its PEAT_NODE_ID`,
      };
    case "unresolved":
      return {
        code: "unresolved",
        message: `no address of ${name} can be found${sinceParting(peer)}`,
        remedy: "check that its host name resolves on this machine (PEAT_STATIC_PEERS, DNS)",
      };
    case "unreached":
      return peer.isSought ? tellUnreached(peer) : tellGone(peer);
  }
}

function tellUnreached(peer: AwayFacts): Told {
  const failure = peer.lastFailure === undefined ? "" : ` (${peer.lastFailure})`;
  return {
    code: "unreachable",
    message: `${peer.name} does not answer ${places(peer)}${failure}${sinceParting(peer)}`,
    remedy: `check that ${peer.name} runs and that UDP passes between both nodes; peat-sidecar doctor tells under "network" whether anybody answers there`,
  };
}

function tellGone(peer: AwayFacts): Told {
  return {
    code: "gone",
    message: `nothing on this node looks for ${peer.name} any more${sinceParting(peer)}`,
    remedy: `${peer.name} has to connect by itself; else name it in PEAT_STATIC_PEERS, or see what PEAT_DISCOVERY finds`,
  };
}
