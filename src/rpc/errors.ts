// Faults as ConnectErrors: a code from the closed table and the fault's sentence, never its cause.
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { BugError } from "../base/assert.ts";
import { type ConnectCode, FAULTS, Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";

const log = getLog("peat_mesh::rpc");

const CODES: Readonly<Record<ConnectCode, Code>> = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  permission_denied: Code.PermissionDenied,
  unauthenticated: Code.Unauthenticated,
  resource_exhausted: Code.ResourceExhausted,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  out_of_range: Code.OutOfRange,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  data_loss: Code.DataLoss,
};

/** What a client is told of anything thrown. A bug of ours is told, and ends the process all the same. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof Fault) {
    if (error.cause !== undefined) log.debug(error.message, { cause: messageOf(error.cause) });
    return new ConnectError(error.message, CODES[FAULTS[error.code].connect]);
  }
  log.error("RPC failed", { cause: messageOf(error) });
  if (error instanceof BugError) {
    queueMicrotask(() => {
      throw error;
    });
  }
  return new ConnectError("the node failed at this; its log says why", Code.Internal);
}

function isLate(signal: AbortSignal): boolean {
  const { reason } = signal;
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}

async function* explained<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  try {
    yield* messages;
    // A stream that ends because its time is over is not complete.
    if (isLate(signal)) throw signal.reason;
  } catch (error) {
    throw toConnectError(error);
  }
}

/** Rejects once `signal` aborts; a call's signal does that at its deadline, and when its client has gone. */
function whenAborted(signal: AbortSignal): { readonly aborted: Promise<never>; end(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  // Mostly nobody looks any more when it does.
  promise.catch(() => undefined);
  return { aborted: promise, end: () => signal.removeEventListener("abort", abort) };
}

/** Turns what calls throw into ConnectErrors, and ends the wait for a call whose time is over. */
export const explain: Interceptor = (next) => async (request) => {
  const { aborted, end } = whenAborted(request.signal);
  try {
    const response = await Promise.race([next(request), aborted]);
    return response.stream
      ? { ...response, message: explained(response.message, request.signal) }
      : response;
  } catch (error) {
    throw toConnectError(error);
  } finally {
    end();
  }
};
