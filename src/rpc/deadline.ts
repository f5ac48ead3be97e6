// Deadlines of calls: what a client asks for, bounded; without that, a default. Pure.
import type { IncomingHttpHeaders } from "node:http";

export interface DeadlineLimits {
  /** For a client that names none, or none that makes sense. */
  readonly defaultMs: number;
  /** The longest that a client is given. */
  readonly maxMs: number;
}

const CONNECT_HEADER = "connect-timeout-ms";
const GRPC_HEADER = "grpc-timeout";

/** Of one grpc-timeout unit, in milliseconds. */
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

function isGrpc(headers: IncomingHttpHeaders): boolean {
  return (headers["content-type"] ?? "").startsWith("application/grpc");
}

function askedMs(headers: IncomingHttpHeaders): number | undefined {
  if (!isGrpc(headers)) {
    const digits = /^[0-9]{1,10}$/.exec(String(headers[CONNECT_HEADER] ?? ""))?.[0];
    return digits === undefined ? undefined : Number(digits);
  }
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(String(headers[GRPC_HEADER] ?? ""));
  const unitMs = UNIT_MS[match?.[2] ?? ""];
  return unitMs === undefined ? undefined : Number(match?.[1]) * unitMs;
}

/** How long a call has, in milliseconds. */
export function deadlineMs(headers: IncomingHttpHeaders, limits: DeadlineLimits): number {
  return Math.ceil(Math.min(askedMs(headers) ?? limits.defaultMs, limits.maxMs));
}

/** The longest that a timer takes; whoever asks for more means no end. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** How long a stream goes on: as long as its client asks for, and for ever when it does not ask. */
export function streamDeadlineMs(headers: IncomingHttpHeaders): number | undefined {
  const ms = askedMs(headers);
  return ms === undefined || ms > TIMER_MS_MAX ? undefined : Math.ceil(ms);
}

/** Writes the deadline into the headers, as the call's own protocol tells it; undefined: none at all. */
export function setDeadline(headers: IncomingHttpHeaders, ms: number | undefined): void {
  delete headers[CONNECT_HEADER];
  delete headers[GRPC_HEADER];
  if (ms === undefined) return;
  if (isGrpc(headers)) headers[GRPC_HEADER] = ms < 1e8 ? `${ms}m` : `${Math.ceil(ms / 1000)}S`;
  else headers[CONNECT_HEADER] = String(ms);
}
