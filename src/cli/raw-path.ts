// A path of the broker given as it is, behind `get`, `put` and `delete`: what is answered is printed, whatever it is.
import { Fault } from "../base/faults.ts";
import { isGood } from "./answer.ts";
import type { BrokerMethod } from "./broker-client.ts";
import type { Call } from "./command.ts";
import { EXIT } from "./context.ts";
import { withNode } from "./node.ts";
import { printBody } from "./node-call.ts";
import { safeJson } from "./terminal-text.ts";

export const isRawPath = (word: string | undefined): boolean => word?.startsWith("/") === true;

/** One request to the first word; the second one is its body. */
export async function requestRaw(call: Call, method: BrokerMethod): Promise<number> {
  const { context, words } = call;
  const [path = "", body, ...more] = words;
  if (!/^\/[!-~]*$/.test(path)) {
    throw new Fault("invalid_argument", "a path of the broker must have no blanks");
  }
  const takesBody = method === "PUT";
  if ((body !== undefined) !== takesBody || more.length > 0) {
    const needs = takesBody ? "PATH and JSON" : "PATH alone";
    throw new Fault("invalid_argument", `a path of the broker is given as ${needs}`);
  }
  return await withNode(call, async (node) => {
    const answer = await node.ask({ method, path, body });
    // A pipe gets every byte as it came.
    const { isTerminal } = context.stdout;
    printBody(context, isTerminal ? safeJson(answer.body) : answer.body);
    if (isGood(answer)) return EXIT.ok;
    context.stderr.write(`${context.program}: ${path} was answered with status ${answer.status}\n`);
    return EXIT.failed;
  });
}
