// Work for a client that may go before it is done.
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";

export interface Deadline {
  readonly clock: Clock;
  readonly requestMs: number;
  /** The sentence when it is over. */
  readonly late: string;
}

/** Runs `work` with a signal that aborts, with Fault `request_timeout`, when the client goes or the time is over. */
export async function untilGone<T>(
  request: Request,
  deadline: Deadline | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const end = (why: string) => ending.abort(new Fault("request_timeout", why));
  const gone = () => end("the client has gone");
  const cancel = deadline?.clock.after(deadline.requestMs, () => end(deadline.late));
  request.signal.addEventListener("abort", gone, { once: true });
  if (request.signal.aborted) gone();
  try {
    return await work(ending.signal);
  } finally {
    cancel?.();
    request.signal.removeEventListener("abort", gone);
  }
}
