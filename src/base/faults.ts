// Every way in which the world may fail us, in one closed table: a code, and what each edge makes of it.

interface FaultRow {
  /** HTTP status of the broker. */
  readonly http: number;
  /** Connect and gRPC code of the sidecar's RPCs. */
  readonly connect: ConnectCode;
  /** Exit status when the fault ends the process (sysexits(3)). */
  readonly exit: number;
}

/** Names of the codes that Connect and gRPC have in common. */
export type ConnectCode =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "permission_denied"
  | "unauthenticated"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "deadline_exceeded"
  | "data_loss";

const row = (http: number, connect: ConnectCode, exit: number): FaultRow => ({
  http,
  connect,
  exit,
});

export const FAULTS = {
  invalid_argument: row(400, "invalid_argument", 64),
  settings_invalid: row(500, "failed_precondition", 78),
  unauthenticated: row(401, "unauthenticated", 77),
  forbidden: row(403, "permission_denied", 77),
  route_not_found: row(404, "unimplemented", 64),
  not_offered: row(501, "unimplemented", 69),
  method_not_allowed: row(405, "unimplemented", 64),
  request_timeout: row(408, "deadline_exceeded", 75),
  document_not_found: row(404, "not_found", 66),
  collection_not_found: row(404, "not_found", 66),
  peer_not_found: row(404, "not_found", 66),
  conflict: row(409, "failed_precondition", 65),
  already_exists: row(409, "already_exists", 65),
  distribution_not_found: row(404, "not_found", 66),
  position_unknown: row(410, "out_of_range", 66),
  document_gone: row(410, "not_found", 66),
  precondition_failed: row(412, "aborted", 65),
  payload_too_large: row(413, "resource_exhausted", 65),
  unsupported_media_type: row(415, "invalid_argument", 65),
  rate_limited: row(429, "resource_exhausted", 75),
  wire_invalid: row(400, "data_loss", 76),
  peer_refused: row(403, "permission_denied", 77),
  peer_unreachable: row(503, "unavailable", 75),
  not_ready: row(503, "unavailable", 75),
  overloaded: row(503, "resource_exhausted", 75),
  storage_full: row(507, "resource_exhausted", 74),
  storage_failed: row(500, "internal", 74),
  storage_locked: row(500, "failed_precondition", 75),
  storage_unusable: row(500, "failed_precondition", 73),
  backup_unusable: row(400, "data_loss", 65),
  interrupted: row(503, "aborted", 130),
  address_unavailable: row(500, "unavailable", 69),
  addon_unusable: row(500, "failed_precondition", 78),
  internal: row(500, "internal", 70),
} as const satisfies Record<string, FaultRow>;

export type FaultCode = keyof typeof FAULTS;

/** What a fault is about: shown to clients and in logs, so it never holds a secret. */
export type FaultDetails = Readonly<Record<string, string | number | boolean>>;

/** An operating fault: the world's mistake, with a code that every edge knows how to tell. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly details: FaultDetails;

  /** `message` is one sentence that names the thing and, where there is one, the remedy. */
  constructor(code: FaultCode, message: string, details: FaultDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  get httpStatus(): number {
    return FAULTS[this.code].http;
  }

  get exitCode(): number {
    return FAULTS[this.code].exit;
  }
}

/** The system's word for what went wrong (ENOENT, ENOSPC, …); empty for an error that has none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** First line of anything thrown, for a log line: native errors carry a stack in their message. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}

/** What `run` returns. What it throws besides Faults is a mistake of our own: `onBug` hears of it first. */
export function guarded<T>(onBug: (error: unknown) => void, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Fault)) onBug(error);
    throw error;
  }
}
