// Assertions are for our own mistakes; the world's mistakes are Faults.

/** A mistake in this program. Nothing below main catches it; the process exits with 70. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** Throws BugError with `message` unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(`bug: ${message}`);
}

/** Marks a place that types say can't be reached; a new union member is a compile error there. */
export function unreachable(value: never): never {
  throw new BugError(`bug: unreachable value ${String(value)}`);
}
