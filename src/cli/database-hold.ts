// The node on this machine asked to hold its database's file still, again and again until the copy is done.

import type { Hold } from "../backup/make.ts";
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { field, isGood } from "./answer.ts";
import type { BrokerAnswer } from "./broker-client.ts";
import { parseExact } from "./exact-json.ts";
import { refusalFault } from "./node.ts";
import type { NodeClient } from "./node-call.ts";

const PATH = `${API}/database-holds`;
/** Asked this often within the time that the node gives. */
const RENEWALS_PER_LEASE = 3;

/** Disposed, it lets the node go, also where nothing came of the copy. */
export interface NodeHold extends Hold, AsyncDisposable {
  readonly nodeName: string;
  readonly formation: string;
}

function textOf(value: unknown, name: string): string {
  const text = field(value, name);
  if (typeof text === "string" && text !== "") return text;
  throw new Fault("wire_invalid", `the answer of the node has no ${name}; is it an older version?`);
}

async function begin(node: NodeClient): Promise<BrokerAnswer | Fault> {
  try {
    return await node.ask({ method: "POST", path: PATH });
  } catch (error) {
    if (error instanceof Fault && error.code === "not_ready") return error;
    throw error;
  }
}

/** The fault of asking where no node answers. Faults: a refusal, wire_invalid. */
export async function holdDatabase(node: NodeClient): Promise<NodeHold | Fault> {
  const answer = await begin(node);
  if (answer instanceof Fault) return answer;
  if (answer.status === 404) {
    throw new Fault("not_offered", "the running node is of an older version; restart it first");
  }
  if (!isGood(answer)) throw refusalFault(answer);
  const told = parseExact(answer.body, { from: "the answer of the node" });
  const path = `${PATH}/${textOf(told, "id")}`;
  const leaseMs = Number(field(told, "lease_ms")) || 0;
  const renew = () => {
    // Whether the copy is good is asked at its end.
    node.ask({ method: "PUT", path }).catch(() => undefined);
  };
  let isHeld = true;
  const timer = setInterval(renew, Math.max(1000, leaseMs / RENEWALS_PER_LEASE));
  return {
    databasePath: textOf(told, "database"),
    storeId: textOf(told, "store_id"),
    nodeName: textOf(told, "node_id"),
    formation: textOf(told, "formation"),
    async end() {
      clearInterval(timer);
      isHeld = false;
      const ended = await node.ask({ method: "DELETE", path });
      if (!isGood(ended)) throw refusalFault(ended);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      // One that can't be told lets go by itself, a little later.
      if (isHeld) await node.ask({ method: "DELETE", path }).catch(() => undefined);
    },
  };
}
