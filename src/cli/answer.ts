// What commands make of a broker's answer: whether it is good, its fields, and the sentence of a refusal.
import { Fault } from "../base/faults.ts";
import type { BrokerAnswer } from "./broker-client.ts";
import { safeText } from "./terminal-text.ts";

export function isGood({ status }: BrokerAnswer): boolean {
  return status >= 200 && status < 300;
}

/** Field `name` of parsed JSON; undefined where there is none. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

/** Field `name`, if it is a text. */
export function textField(value: unknown, name: string): string | undefined {
  const found = field(value, name);
  return typeof found === "string" ? found : undefined;
}

/** Field `name`, if it is a number. */
export function numberField(value: unknown, name: string): number | undefined {
  const found = field(value, name);
  return typeof found === "number" ? found : undefined;
}

/** The list at `name`; empty where there is none. */
export function listField(value: unknown, name: string): readonly unknown[] {
  const found = field(value, name);
  return Array.isArray(found) ? found : [];
}

/** The list at `name` of an answer that must have one; `what` it holds. Fault `wire_invalid` without it. */
export function listIn(answer: unknown, name: string, what = name): readonly unknown[] {
  const found = field(answer, name);
  if (Array.isArray(found)) return found;
  throw new Fault("wire_invalid", `the answer of the node holds no list of ${what}`);
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

const REFUSAL_CHARS_MAX = 400;

/** The sentence that the node gives for a refusal, or its status; one line, safe for a terminal. */
export function refusalOf({ status, body }: BrokerAnswer): string {
  const sentence = bodyField(body, "error");
  if (typeof sentence !== "string") return `the node answered with status ${status}`;
  return safeText(sentence.slice(0, REFUSAL_CHARS_MAX));
}
