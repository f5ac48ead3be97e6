// The body of an order: a short JSON object of known fields.
import { type Clock, within } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { checkMediaType, readText, WRITE_TYPES } from "./request-body.ts";

export type Order = ReadonlyMap<string, unknown>;

export interface OrderLimits {
  readonly clock: Clock;
  /** Until when all of it must be here. */
  readonly requestMs: number;
  readonly bytesMax: number;
}

const LATE = Symbol("late");

/** The fields of an object. Fault `invalid_argument` for anything else, and for a field that is not among `names`. */
export function readFields(value: unknown, names: readonly string[], what = "the body"): Order {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Fault("invalid_argument", `${what} must be a JSON object`);
  }
  const fields = new Map(Object.entries(value));
  const stranger = [...fields.keys()].find((key) => !names.includes(key));
  if (stranger === undefined) return fields;
  const shown = JSON.stringify(stranger.slice(0, 80));
  const known = names.join(", ");
  throw new Fault("invalid_argument", `${what} has no field ${shown}, only ${known}`);
}

/** Faults: invalid_argument, unsupported_media_type, payload_too_large, request_timeout. */
export async function readOrder(
  request: Request,
  names: readonly string[],
  { clock, requestMs, bytesMax }: OrderLimits,
): Promise<Order> {
  checkMediaType(request.headers, WRITE_TYPES.PUT);
  const text = await within(clock, requestMs, readText(request, bytesMax), LATE);
  if (text === LATE) throw new Fault("request_timeout", "the body was not received in time");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid_argument", "the body is not JSON", {}, cause);
  }
  return readFields(value, names);
}
