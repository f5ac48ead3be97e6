// Bytes from standard input and to standard output, in order, never more than one piece in memory. By descriptor: a
// process that has become another user may not open /dev/stdout, which it may write to.
import { write } from "node:fs";
import { Fault, messageOf } from "../base/faults.ts";

const STDOUT = 1;
/** A pipe that somebody made non-blocking is full: how long until the next try. */
const RETRY_MS = 10;

export function standardInput(): AsyncIterable<Uint8Array> {
  return Bun.stdin.stream();
}

function writeSome(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(STDOUT, bytes, 0, bytes.length, null, (error, count) => {
      if (error === null) resolve(count);
      else if (error.code === "EAGAIN") setTimeout(resolve, RETRY_MS, 0);
      else reject(new Fault("storage_failed", `standard output: ${messageOf(error)}`, {}, error));
    });
  });
}

/** Resolves when all of it was taken. Fault `storage_failed` when nobody takes it. */
export async function writeStandardOutput(bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(await writeSome(rest));
}
