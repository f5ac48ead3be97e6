// The node that a command speaks with, and what it makes of the answers: nothing in them is believed unchecked.
import { Fault, type FaultCode } from "../base/faults.ts";
import { pickSettings } from "../config/load.ts";
import { isGood, refusalOf } from "./answer.ts";
import { BROKER_SETTING_NAMES, type BrokerAnswer } from "./broker-client.ts";
import { type Call, refuse } from "./command.ts";
import { parseExact } from "./exact-json.ts";
import { NodeClient, type NodeRequest } from "./node-call.ts";

/** What a refusal means for the exit code; other statuses are no answers of a node. */
const CODES: Readonly<Record<number, FaultCode>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "forbidden",
  404: "document_not_found",
  408: "request_timeout",
  409: "conflict",
  410: "document_gone",
  412: "precondition_failed",
  413: "payload_too_large",
  415: "unsupported_media_type",
  429: "rate_limited",
  500: "storage_failed",
  501: "not_offered",
  503: "not_ready",
  507: "storage_full",
};

/** A refusal as a fault: the node's sentence, and the exit code that belongs to its status. */
export function refusalFault(answer: BrokerAnswer): Fault {
  return new Fault(CODES[answer.status] ?? "wire_invalid", refusalOf(answer));
}

/** A good answer. Faults: as NodeClient.ask; a refusal. */
export async function askGood(node: NodeClient, request: NodeRequest): Promise<BrokerAnswer> {
  const answer = await node.ask(request);
  if (!isGood(answer)) throw refusalFault(answer);
  return answer;
}

/** The JSON of a good answer. Faults: as askGood; wire_invalid for what is no JSON. */
export async function askJson(node: NodeClient, request: NodeRequest): Promise<unknown> {
  const { body } = await askGood(node, request);
  return parseExact(body, { from: "the answer of the node" });
}

/** Runs `work` with the node that options and settings name. */
export async function withNode(
  call: Call,
  work: (node: NodeClient) => Promise<number>,
): Promise<number> {
  const picked = pickSettings(call.settings(), BROKER_SETTING_NAMES);
  if (!picked.ok) return refuse(call.context, picked);
  using node = await NodeClient.open(call, picked.settings);
  return await work(node);
}
