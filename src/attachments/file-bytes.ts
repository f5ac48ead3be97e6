// Reading and writing files in whole parts, and so that their bytes reach the disk evenly: what piles up in memory
// until the end would hold up every commit of documents while it is written.
import type { FileHandle } from "node:fs/promises";

/** Bytes after which a written file is synchronised. */
const SYNC_BYTES = 2 * 1024 * 1024;

/** Bytes from `position`, fewer than fit only at the end of the file; shares memory with `into`. */
export async function readAt(
  file: FileHandle,
  into: Uint8Array,
  position: number,
): Promise<Uint8Array> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return into.subarray(0, filled);
}

/** Writes a file, from its beginning unless told otherwise. */
export class EvenWriter {
  readonly #file: FileHandle;
  #position = 0;
  #unsynced = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  moveTo(position: number): void {
    this.#position = position;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const left = bytes.length - written;
      const result = await this.#file.write(bytes, written, left, this.#position);
      written += result.bytesWritten;
      this.#position += result.bytesWritten;
    }
    this.#unsynced += bytes.length;
    if (this.#unsynced >= SYNC_BYTES) await this.sync();
  }

  /** What was written stays after a power cut. */
  async sync(): Promise<void> {
    this.#unsynced = 0;
    await this.#file.datasync();
  }
}
