// How much may be on its way to one peer: it grows with quick acknowledgements and shrinks with slow ones.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Window } from "../../../src/sync/window.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const KIB = 1024;

/** Sends frames of `bytes` until the window is shut; returns their serials. */
function fill(window: Window, bytes: number): number[] {
  const serials: number[] = [];
  while (window.hasRoom) {
    const serial = window.nextSerial();
    window.sent(serial, bytes);
    serials.push(serial);
  }
  return serials;
}

/** Bytes that fit once everything is acknowledged after `delayMs`, `rounds` times. */
async function sizeAfter(rounds: number, delayMs: number): Promise<number> {
  const clock = new VirtualClock();
  const window = new Window(clock);
  for (let round = 0; round < rounds; round += 1) {
    const serials = fill(window, 16 * KIB);
    await clock.advance(delayMs);
    window.acknowledged(serials.at(-1) ?? 0);
  }
  return fill(window, KIB).length * KIB;
}

test("an acknowledgement stands for all that was sent before it", () => {
  const window = new Window(new VirtualClock());
  const serials = fill(window, 64 * KIB);
  expect(serials).toEqual([1, 2, 3, 4]);
  window.acknowledged(3);
  expect(window.inFlightBytes).toBe(64 * KIB);
  window.acknowledged(4);
  expect(window.inFlightBytes).toBe(0);
  expect(window.hasRoom).toBe(true);
});

test("a serial that was never sent, or was acknowledged already, acknowledges nothing", () => {
  const window = new Window(new VirtualClock());
  const [first = 0] = fill(window, 200 * KIB);
  window.acknowledged(99);
  expect(window.hasRoom).toBe(false);
  window.acknowledged(first);
  const before = window.inFlightBytes;
  window.acknowledged(first);
  expect(window.inFlightBytes).toBe(before);
});

test("quick acknowledgements let it grow to 4 MiB and no further", async () => {
  expect(await sizeAfter(1, 1)).toBeGreaterThan(256 * KIB);
  expect(await sizeAfter(50, 1)).toBe(4096 * KIB);
});

test("slow acknowledgements shrink it to 64 KiB and no further", async () => {
  expect(await sizeAfter(1, 1000)).toBeLessThan(256 * KIB);
  expect(await sizeAfter(50, 1000)).toBe(64 * KIB);
});

test("the lag is that of the newest acknowledged frame", async () => {
  const clock = new VirtualClock();
  const window = new Window(clock);
  window.sent(window.nextSerial(), 1);
  await clock.advance(30);
  window.sent(window.nextSerial(), 1);
  await clock.advance(12);
  window.acknowledged(2);
  expect(window.lastLagMs).toBe(12);
});

test("whatever is acknowledged in whatever order, bytes in flight are those not acknowledged", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ send: fc.integer({ min: 1, max: 100_000 }) }),
      fc.record({ acknowledge: fc.integer({ min: 0, max: 60 }) }),
    ),
    { maxLength: 100 },
  );
  fc.assert(
    fc.property(steps, (sequence) => {
      const window = new Window(new VirtualClock());
      let waiting: { serial: number; bytes: number }[] = [];
      for (const step of sequence) {
        if ("send" in step) {
          const serial = window.nextSerial();
          window.sent(serial, step.send);
          waiting.push({ serial, bytes: step.send });
        } else {
          window.acknowledged(step.acknowledge);
          const isSent = waiting.some(({ serial }) => serial === step.acknowledge);
          if (isSent) waiting = waiting.filter(({ serial }) => serial > step.acknowledge);
        }
        const expected = waiting.reduce((sum, { bytes }) => sum + bytes, 0);
        expect(window.inFlightBytes).toBe(expected);
      }
    }),
  );
});
