// Ctrl-C and SIGTERM, for commands that have something to put away first, or that have no end of their own.
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "../base/faults.ts";
import type { Context } from "./context.ts";

/** Aborted by the first stop signal, with a Fault `interrupted` that says what became of the work. */
export function interruption(context: Context, { outcome }: { outcome: string }): AbortSignal {
  const controller = new AbortController();
  context.onStopSignal((signal) => {
    controller.abort(new Fault("interrupted", `interrupted by ${signal}; ${outcome}`));
  });
  return controller.signal;
}

/** Aborted by the first stop signal, and once nobody reads standard output any more: how a command that watches ends. */
export function endOfWatching({ onStopSignal, stdout: { closed } }: Context): AbortSignal {
  const stopped = new AbortController();
  onStopSignal(() => stopped.abort(), { isCommand: true });
  return closed === undefined ? stopped.signal : AbortSignal.any([stopped.signal, closed]);
}

/** Ends after `ms`, or once `signal` is aborted. */
export async function pauseUntil(signal: AbortSignal, ms: number): Promise<void> {
  // What ends a pause early is a rejection that means nothing else.
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
