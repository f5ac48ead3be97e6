// What commands make of a broker's answer: whether it is good, its fields, and the sentence of a refusal.
import type { BrokerAnswer } from "./broker-client.ts";

export function isGood({ status }: BrokerAnswer): boolean {
  return status >= 200 && status < 300;
}

/** Field `name` of parsed JSON; undefined where there is none. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

/** Field `name` of a body that should be JSON; undefined where it is not. */
export function bodyField(body: string, name: string): unknown {
  try {
    return field(JSON.parse(body), name);
  } catch {
    // Something else answers there; whoever asks tells what that means.
    return undefined;
  }
}

/** The sentence that the node gives for a refusal, or its status. */
export function refusalOf({ status, body }: BrokerAnswer): string {
  const sentence = bodyField(body, "error");
  return typeof sentence === "string" ? sentence : `the node answered with status ${status}`;
}
