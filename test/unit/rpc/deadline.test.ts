import { describe, expect, test } from "bun:test";
import { deadlineMs, setDeadline, streamDeadlineMs } from "../../../src/rpc/deadline.ts";

const LIMITS = { defaultMs: 120_000, maxMs: 300_000 };
const GRPC = { "content-type": "application/grpc+proto" };
const JSON_TYPE = { "content-type": "application/json" };

describe("the deadline of a call", () => {
  test.each([
    ["5000", 5000],
    ["0", 0],
    ["300000", 300_000],
    ["300001", 300_000],
    ["9999999999", 300_000],
    ["10000000000", 120_000],
    ["-1", 120_000],
    ["1.5", 120_000],
    ["soon", 120_000],
    ["", 120_000],
  ])("of Connect-Timeout-Ms %p is %p ms", (text, ms) => {
    expect(deadlineMs({ ...JSON_TYPE, "connect-timeout-ms": text }, LIMITS)).toBe(ms);
  });

  test.each([
    ["1H", 300_000],
    ["4M", 240_000],
    ["7S", 7000],
    ["7m", 7],
    ["1500u", 2],
    ["1n", 1],
    ["0S", 0],
    ["123456789S", 120_000],
    ["7", 120_000],
    ["7s", 120_000],
    ["S", 120_000],
    ["", 120_000],
  ])("of grpc-timeout %p is %p ms", (text, ms) => {
    expect(deadlineMs({ ...GRPC, "grpc-timeout": text }, LIMITS)).toBe(ms);
    const web = { "content-type": "application/grpc-web+json", "grpc-timeout": text };
    expect(deadlineMs(web, LIMITS)).toBe(ms);
  });

  test("is the default where none is asked for, and where it is asked for in the other protocol's way", () => {
    expect(deadlineMs({}, LIMITS)).toBe(120_000);
    expect(deadlineMs({ ...JSON_TYPE, "grpc-timeout": "1S" }, LIMITS)).toBe(120_000);
    expect(deadlineMs({ ...GRPC, "connect-timeout-ms": "1" }, LIMITS)).toBe(120_000);
  });

  test("is written in the call's own way, or not at all", () => {
    const connect = { ...JSON_TYPE, "connect-timeout-ms": "x", "grpc-timeout": "1S" };
    setDeadline(connect, 5);
    expect(connect).toEqual({ ...JSON_TYPE, "connect-timeout-ms": "5" } as typeof connect);
    const grpc = { ...GRPC, "grpc-timeout": "1S" };
    setDeadline(grpc, 300_000);
    expect(grpc["grpc-timeout"]).toBe("300000m");
    setDeadline(grpc, 86_400_000_000);
    expect(grpc["grpc-timeout"]).toBe("86400000S");
    setDeadline(grpc, undefined);
    expect(grpc).toEqual(GRPC as typeof grpc);
  });
});

test("a stream has the time that its client asks for, however long, and no end without", () => {
  const grpc = { "content-type": "application/grpc" };
  expect(streamDeadlineMs({})).toBeUndefined();
  expect(streamDeadlineMs({ "connect-timeout-ms": "9000000" })).toBe(9_000_000);
  expect(streamDeadlineMs({ "connect-timeout-ms": "soon" })).toBeUndefined();
  expect(streamDeadlineMs({ ...grpc, "grpc-timeout": "50m" })).toBe(50);
  // Longer than a timer can be: it would fire at once.
  expect(streamDeadlineMs({ ...grpc, "grpc-timeout": "99999999H" })).toBeUndefined();
});
