// Messages packed with zstd: what is packed comes back, and what is no message, or a bomb, costs little.
import { describe, expect, test } from "bun:test";
import { zstdCompressSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { compressionZstd } from "../../../src/rpc/zstd.ts";
import { codeOf } from "../../support/start-rpc.ts";

const BYTES_MAX = 1_000_000;

/** A frame without content that asks its reader to remember 2^log bytes. */
function frameWithWindow(log: number): Uint8Array {
  const exponent = (log - 10) << 3;
  return new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, exponent, 1, 0, 0]);
}

describe("zstd", () => {
  test("gives back what it packed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), async (bytes) => {
        const packed = await compressionZstd.compress(bytes);
        expect(await compressionZstd.decompress(packed, BYTES_MAX)).toEqual(bytes);
      }),
      { numRuns: 50 },
    );
  });

  test("refuses what is longer than allowed once it is unpacked", async () => {
    const bomb = zstdCompressSync(new Uint8Array(5 * BYTES_MAX));
    expect(bomb.length).toBeLessThan(BYTES_MAX / 100);
    const code = await codeOf(compressionZstd.decompress(bomb, BYTES_MAX));
    expect(code).toBe(Code.ResourceExhausted);
  });

  test("refuses what is no zstd data", async () => {
    const bytes = new TextEncoder().encode("no zstd data at all");
    expect(await codeOf(compressionZstd.decompress(bytes, BYTES_MAX))).toBe(Code.InvalidArgument);
  });

  test("remembers 8 MiB for a frame that asks for it, and no more", async () => {
    expect(await compressionZstd.decompress(frameWithWindow(23), BYTES_MAX)).toHaveLength(0);
    const asksForMore = compressionZstd.decompress(frameWithWindow(27), BYTES_MAX);
    expect(await codeOf(asksForMore)).toBe(Code.InvalidArgument);
  });
});
