// The pace at which a file is fetched, on paths made of arithmetic.
import { describe, expect, test } from "bun:test";
import { Pace } from "../../../src/attachments/pace.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const KIB = 1024;

/** Fetches over a path of a rate and a round trip for a time; the greatest queue of its second half, in ms. */
async function fetchOver(path: { bytesPerMs: number; rttMs: number; seconds: number }) {
  const clock = new VirtualClock();
  const pace = new Pace(clock);
  let freeAt = 0;
  let received = 0;
  let queueMs = 0;
  const untilMs = clock.monotonic() + path.seconds * 1000;
  const half = clock.monotonic() + path.seconds * 500;
  const fill = () => {
    while (pace.hasRoom && clock.monotonic() < untilMs) {
      const bytes = pace.pieceBytes;
      const at = clock.monotonic();
      pace.asked(bytes);
      const begins = Math.max(at + path.rttMs / 2, freeAt);
      if (at > half) queueMs = Math.max(queueMs, begins - at - path.rttMs / 2);
      freeAt = begins + bytes / path.bytesPerMs;
      clock.after(freeAt + path.rttMs / 2 - at, () => {
        received += bytes;
        pace.answered(bytes, clock.monotonic() - at);
        fill();
      });
    }
  };
  fill();
  await clock.advance(path.seconds * 1000 + 60_000);
  return { pace, queueMs, share: received / (path.bytesPerMs * path.seconds * 1000) };
}

describe("a file takes most of a path and leaves it without a long queue", () => {
  test.each([
    ["125 KB/s, 40 ms", { bytesPerMs: 125, rttMs: 40, seconds: 60 }],
    ["1 MB/s, 10 ms", { bytesPerMs: 1000, rttMs: 10, seconds: 60 }],
    ["16 MB/s, 1 ms", { bytesPerMs: 16_000, rttMs: 1, seconds: 20 }],
    ["2 MB/s, 200 ms", { bytesPerMs: 2000, rttMs: 200, seconds: 60 }],
  ])("of %s", async (_, path) => {
    const { queueMs, share } = await fetchOver(path);
    expect(queueMs).toBeLessThan(100);
    expect(share).toBeGreaterThan(0.6);
  });
});

test("the least is asked for on a path that is slower than any pace", async () => {
  const { pace, share } = await fetchOver({ bytesPerMs: 5, rttMs: 50, seconds: 60 });
  expect(pace.windowBytes).toBeLessThanOrEqual(16 * KIB);
  expect(share).toBeGreaterThan(0.6);
});
