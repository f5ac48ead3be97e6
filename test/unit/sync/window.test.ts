// How much may be on its way to one peer: it grows with quick acknowledgements and shrinks with slow ones.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Window } from "../../../src/sync/window.ts";
import { STATES_BYTES_TARGET } from "../../../src/wire/native.ts";
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

/** What a link does to full windows, `rounds` times: `lagOf` says how late each is acknowledged. */
async function sizeAfter(rounds: number, lagOf: (round: number) => number): Promise<number> {
  const clock = new VirtualClock();
  const window = new Window(clock);
  for (let round = 0; round < rounds; round += 1) {
    const serials = fill(window, 4 * KIB);
    await clock.advance(lagOf(round));
    window.acknowledged(serials.at(-1) ?? 0);
  }
  return fill(window, KIB).length * KIB;
}

test("an acknowledgement stands for all that was sent before it", () => {
  const window = new Window(new VirtualClock());
  const serials = fill(window, 4 * KIB);
  expect(serials).toEqual([1, 2, 3, 4]);
  window.acknowledged(3);
  expect(window.inFlightBytes).toBe(4 * KIB);
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

test.each([1, 600])(
  "acknowledgements that all take %i ms let it grow to 4 MiB and no further",
  async (ms) => {
    expect(await sizeAfter(0, () => ms)).toBe(16 * KIB);
    expect(await sizeAfter(1, () => ms)).toBe(32 * KIB);
    expect(await sizeAfter(2, () => ms)).toBe(64 * KIB);
    expect(await sizeAfter(50, () => ms)).toBe(4096 * KIB);
  },
);

/** A link that carries so many bytes a ms, for a minute of full windows; returns the lags of the last ten seconds. */
async function lagsOn(
  bytesPerMs: number,
  latencyMs: number,
): Promise<{ lags: number[]; carried: number }> {
  const clock = new VirtualClock();
  const window = new Window(clock);
  const frames: { serial: number; at: number }[] = [];
  const lags: number[] = [];
  let freeAt = 0;
  let carried = 0;
  for (let now = 0; now < 60_000; now = clock.monotonic()) {
    while (window.hasRoom) {
      const bytes = window.frameBytes;
      freeAt = Math.max(freeAt, now) + bytes / bytesPerMs;
      frames.push({ serial: window.nextSerial(), at: freeAt + latencyMs });
      window.sent(frames.at(-1)?.serial ?? 0, bytes);
      carried += bytes;
    }
    const next = frames.shift();
    if (next === undefined) throw new Error("nothing is on its way");
    await clock.advance(Math.max(0, next.at - now));
    window.acknowledged(next.serial);
    if (now > 50_000) lags.push(window.lastLagMs);
  }
  return { lags, carried };
}

test.each([
  // 64 and 256 kbit/s, by satellite; 10 Mbit/s.
  [8, 600, 3_600],
  [32, 600, 1_500],
  [1_250, 40, 600],
])(
  "at %i bytes a ms the link is full and its queue short (latency %i ms)",
  async (rate, latency, most) => {
    const { lags, carried } = await lagsOn(rate, latency);
    expect(Math.max(...lags)).toBeLessThan(most);
    expect(carried).toBeGreaterThan(0.7 * rate * 60_000);
  },
);

test("a link that was fast and is slow now soon has a short queue, however little of the window was used", async () => {
  const clock = new VirtualClock();
  const window = new Window(clock);
  for (let n = 0; n < 1_000; n += 1) {
    window.acknowledged(fill(window, 48 * KIB).at(-1) ?? 0);
    await clock.advance(1);
  }
  expect(fill(window, 48 * KIB).length).toBeGreaterThan(80);
  window.acknowledged(window.nextSerial() - 1);
  // 12 bytes a ms want to go, in small frames, over a link that takes 8.
  const frames: { serial: number; at: number }[] = [];
  let [waiting, freeAt, worst] = [0, 0, 0];
  for (let ms = 0; ms < 30_000; ms += 1) {
    await clock.advance(1);
    waiting += 12;
    while (waiting >= 170 && window.hasRoom) {
      waiting -= 170;
      freeAt = Math.max(freeAt, ms) + 170 / 8;
      frames.push({ serial: window.nextSerial(), at: freeAt + 600 });
      window.sent(frames.at(-1)?.serial ?? 0, 170);
    }
    while ((frames[0]?.at ?? Number.POSITIVE_INFINITY) <= ms) {
      window.acknowledged(frames.shift()?.serial ?? 0);
      worst = Math.max(worst, window.lastLagMs);
    }
  }
  expect(worst).toBeLessThan(3_600);
});

test("losses are no queue: one quick acknowledgement in four keeps it open", async () => {
  const clock = new VirtualClock();
  const window = new Window(clock);
  for (let n = 0; n < 3_000; n += 1) {
    const serial = window.nextSerial();
    window.sent(serial, 4 * KIB);
    await clock.advance(n % 4 === 0 ? 100 : 1_000);
    window.acknowledged(serial);
  }
  expect(fill(window, KIB).length).toBe(4096);
});

test("acknowledgements that come ever later shrink it to 8 KiB and no further", async () => {
  const clock = new VirtualClock();
  const window = new Window(clock);
  for (let n = 0; n < 20; n += 1) {
    const serial = window.nextSerial();
    window.sent(serial, 4 * KIB);
    await clock.advance(100 + 400 * Math.min(n, 2));
    window.acknowledged(serial);
  }
  expect(fill(window, KIB).length).toBe(8);
});

test("a path that has become longer for good counts as quick after half a minute", async () => {
  const moved = (round: number) => (round < 3 ? 10 : 900);
  expect(await sizeAfter(30, moved)).toBe(8 * KIB);
  expect(await sizeAfter(60, moved)).toBeGreaterThan(1024 * KIB);
});

test("a frame is a third of the window, and more where it is packed", () => {
  const window = new Window(new VirtualClock());
  expect(window.frameBytes).toBe(Math.round((16 * KIB) / 3));
  for (let n = 0; n < 20; n += 1) window.sent(window.nextSerial(), 1_000, 4_000);
  expect(window.frameBytes).toBeGreaterThan(20 * KIB);
  for (let n = 0; n < 20; n += 1) window.sent(window.nextSerial(), 1_000, 40_000);
  expect(window.frameBytes).toBe(STATES_BYTES_TARGET);
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
