// SHA-256 of a file, read in parts with turns for everything else in between.
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { GROUP_BYTES } from "./content-tree.ts";
import { readAt } from "./file-bytes.ts";

/** Of its first `size` bytes. Rejects with the reason of `signal`, or the system's error. */
export async function hashFile(
  file: FileHandle,
  size: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(GROUP_BYTES);
  for (let at = 0; at < size; at += GROUP_BYTES) {
    signal.throwIfAborted();
    hasher.update(await readAt(file, buffer.subarray(0, Math.min(GROUP_BYTES, size - at)), at));
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  return new Uint8Array(hasher.digest());
}
