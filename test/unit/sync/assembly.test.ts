// Large states in parts: put together in order, within limits, or refused.
import { describe, expect, test } from "bun:test";
import { Assemblies } from "../../../src/sync/assembly.ts";
import type { ChunkPart } from "../../../src/sync/large-states.ts";
import { STATE_BYTES_MAX } from "../../../src/wire/native.ts";
import { faultCode } from "../../support/faults.ts";
import { key } from "../../support/memory-store.ts";

const hash = "a".repeat(32);
const MIB = 1024 * 1024;

function part(name: string, total: number, offset: number, bytes: Uint8Array): ChunkPart {
  return { key: key(name), hash, total, offset, bytes };
}

function begin(assemblies: Assemblies, name: string, total: number): string | undefined {
  return faultCode(() => assemblies.add(part(name, total, 0, Uint8Array.of(1))));
}

test("parts in order are the whole state, told with the last of them", () => {
  const assemblies = new Assemblies();
  const whole = Uint8Array.from({ length: 10 }, (_, i) => i);
  expect(assemblies.add(part("a:b", 10, 0, whole.subarray(0, 4)))).toBeUndefined();
  expect(assemblies.add(part("a:b", 10, 4, whole.subarray(4, 9)))).toBeUndefined();
  const done = assemblies.add(part("a:b", 10, 9, whole.subarray(9)));
  expect(done).toEqual({ key: "a:b", hash, bytes: whole });
});

test("several documents come in turns; one that begins anew forgets what it had", () => {
  const assemblies = new Assemblies();
  assemblies.add(part("a:1", 4, 0, Uint8Array.of(1, 2)));
  assemblies.add(part("a:2", 4, 0, Uint8Array.of(9)));
  assemblies.add(part("a:1", 3, 0, Uint8Array.of(5)));
  expect(assemblies.add(part("a:1", 3, 1, Uint8Array.of(6, 7)))?.bytes).toEqual(
    Uint8Array.of(5, 6, 7),
  );
  expect(assemblies.add(part("a:2", 4, 1, Uint8Array.of(8, 7, 6)))?.bytes).toEqual(
    Uint8Array.of(9, 8, 7, 6),
  );
});

describe("refused is", () => {
  const started = () => {
    const assemblies = new Assemblies();
    assemblies.add(part("a:b", 10, 0, new Uint8Array(4)));
    return assemblies;
  };
  test.each([
    ["a part that leaves a gap", part("a:b", 10, 5, new Uint8Array(1))],
    ["a part that comes twice", part("a:b", 10, 2, new Uint8Array(2))],
    ["a part of another document", part("a:c", 10, 4, new Uint8Array(2))],
    ["a part of another version", { ...part("a:b", 10, 4, new Uint8Array(2)), hash: "b" }],
    ["a part that changes the total", part("a:b", 11, 4, new Uint8Array(2))],
    ["a part beyond the total", part("a:b", 10, 4, new Uint8Array(7))],
    ["a part at the far end", part("a:b", 10, 0xffff_ffff, new Uint8Array(1))],
  ])("%s", (_, wrong) => {
    expect(faultCode(() => started().add(wrong))).toBe("wire_invalid");
  });

  test("a first part that is longer than the whole", () => {
    expect(faultCode(() => new Assemblies().add(part("a:b", 1, 0, new Uint8Array(2))))).toBe(
      "wire_invalid",
    );
  });
});

test("one state may have the largest size; one byte more is passed over", () => {
  expect(begin(new Assemblies(), "a:b", STATE_BYTES_MAX)).toBeUndefined();
  // Passed over, with all its parts: its sender can do nothing about it, and the link is needed for others.
  const assemblies = new Assemblies();
  const total = STATE_BYTES_MAX + 1;
  expect(begin(assemblies, "a:b", total)).toBeUndefined();
  const last = part("a:b", total, total - 1, new Uint8Array(1));
  expect(assemblies.add(last)).toBeUndefined();
});

test("states in parts are bounded in number and in bytes together", () => {
  const four = new Assemblies();
  for (const name of ["a:1", "a:2", "a:3", "a:4"]) expect(begin(four, name, MIB)).toBeUndefined();
  expect(begin(four, "a:5", MIB)).toBe("wire_invalid");
  const heavy = new Assemblies();
  expect(begin(heavy, "a:1", STATE_BYTES_MAX)).toBeUndefined();
  expect(begin(heavy, "a:2", STATE_BYTES_MAX)).toBeUndefined();
  expect(begin(heavy, "a:3", 1)).toBe("wire_invalid");
  // A document that begins anew gives its room back first.
  expect(begin(heavy, "a:2", STATE_BYTES_MAX)).toBeUndefined();
});
