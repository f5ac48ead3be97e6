// When a silent peer is asked, dialled anew, and given up.
import { expect, test } from "bun:test";
import type { Link } from "../../../src/net/link.ts";
import { Liveness } from "../../../src/sync/liveness.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A session's part of it: asked every quarter of a second; `transport.bytes` grows when anything is heard. */
function world({ rttMs = 1 } = {}) {
  const clock = new VirtualClock();
  const steps: string[] = [];
  const transport = { bytes: 0, isHeard: true };
  const link: Pick<Link, "path" | "traffic"> = {
    path: () => ({ kind: "direct", address: "10.0.0.2:1", rttMs }),
    traffic: () => ({ sentBytes: 0, receivedBytes: transport.bytes }),
  };
  const liveness = new Liveness({
    clock,
    link,
    ask: () => steps.push("ask"),
    doubt: () => steps.push("doubt"),
    giveUp: () => steps.push("give up"),
  });
  const pass = async (ms: number, isOwed: boolean) => {
    for (let passed = 0; passed < ms; passed += 250) {
      await clock.advance(250);
      if (transport.isHeard) transport.bytes += 40;
      liveness.check(isOwed);
    }
  };
  return { clock, liveness, steps, transport, pass };
}

test("a peer that owes an acknowledgement and says nothing is asked once, and given up after a minute", async () => {
  const { steps, pass } = world();
  await pass(29_750, true);
  expect(steps).toEqual([]);
  await pass(30_000, true);
  expect(steps).toEqual(["ask"]);
  await pass(250, true);
  expect(steps).toEqual(["ask", "give up"]);
});

test("whatever it says is a sign of life", async () => {
  const { liveness, steps, pass } = world();
  for (let time = 0; time < 10; time += 1) {
    await pass(45_000, true);
    liveness.heard();
  }
  expect(steps).toEqual(Array.from({ length: 10 }, () => "ask"));
});

test("a peer that owes nothing may be silent for ever", async () => {
  const { steps, pass } = world();
  await pass(3_600_000, false);
  await pass(29_000, true);
  expect(steps).toEqual([]);
});

test("a path on which nothing is heard, though something was sent, is doubted after a second or two", async () => {
  const { steps, transport, pass } = world();
  await pass(1_000, true);
  transport.isHeard = false;
  await pass(1_750, true);
  expect(steps).toEqual([]);
  await pass(750, true);
  expect(steps).toEqual(["doubt"]);
});

test("the longer the path, the longer it may take", async () => {
  const { steps, transport, pass } = world({ rttMs: 600 });
  await pass(1_000, true);
  transport.isHeard = false;
  await pass(11_500, true);
  expect(steps).toEqual([]);
  await pass(750, true);
  expect(steps).toEqual(["doubt"]);
});

test("doubts come ever less often, and end when anything is heard", async () => {
  const { steps, transport, pass } = world();
  await pass(1_000, true);
  transport.isHeard = false;
  await pass(15_000, true);
  expect(steps).toEqual(["doubt", "doubt", "doubt"]);
  transport.isHeard = true;
  await pass(5_000, true);
  expect(steps.length).toBe(3);
  transport.isHeard = false;
  await pass(2_500, true);
  expect(steps.length).toBe(4);
});

test("a path without keep-alives is asked, and doubted when nothing answers", async () => {
  const { liveness, steps, transport, pass } = world();
  await pass(1_000, false);
  transport.isHeard = false;
  await pass(11_500, false);
  expect(steps).toEqual([]);
  expect(liveness.isInDoubt).toBe(false);
  await pass(500, false);
  expect(steps).toEqual(["ask"]);
  expect(liveness.isInDoubt).toBe(true);
  await pass(2_000, false);
  expect(steps).toEqual(["ask", "doubt"]);
  transport.isHeard = true;
  await pass(250, false);
  expect(liveness.isInDoubt).toBe(false);
});
