// Checksums of Automerge chunks made right: a changed input is refused for what is inside, not at the door.

/** A forged count of values costs Automerge what it says: only a member can send one, and it delays, no more. */
export const FORGED_MS_MAX = 10_000;

/** Makes the checksum of each Automerge chunk right, as far as chunks can be told. */
export function mendChecksums(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start + 10 < bytes.length; ) {
    if (view.getUint32(start) !== 0x856f4a83) return;
    let [length, shift, at] = [0, 0, start + 9];
    for (let digit = 0x80; digit >= 0x80 && shift < 28; shift += 7) {
      digit = bytes[at] ?? 0;
      length += (digit & 0x7f) << shift;
      at += 1;
    }
    const end = Math.min(bytes.length, at + length);
    const body = bytes.subarray(start + 8, end);
    const digest = new Bun.CryptoHasher("sha256").update(body).digest();
    bytes.set(digest.subarray(0, 4), start + 4);
    start = end;
  }
}
