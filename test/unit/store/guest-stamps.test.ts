// Stamps of the changes in a guest's document: told by a message, or found in the bytes.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  ChangeMarks,
  type ChangeMeta,
  guestActor,
  parseStampMessage,
  printStampMessage,
  startOfActor,
} from "../../../src/store/guest-stamps.ts";
import type { StartId } from "../../../src/store/stamp.ts";
import { startId } from "../../support/states.ts";

const N_MAX = 2 ** 53 - 2 ** 43;

function change(hash: string, given: Partial<ChangeMeta> = {}): ChangeMeta {
  const ops = { startOp: 1, maxOp: 1 };
  return { actor: "aa".repeat(16), time: 0, message: null, deps: [], hash, ...ops, ...given };
}

function message(n: number, start: string, life: number, isFloor = false): string {
  return printStampMessage({ stamp: { n, start: startId(start) }, life, isFloor });
}

test("a message gives back the stamp and the life that it was printed from, and nothing else does", () => {
  fc.assert(
    fc.property(
      fc.nat(N_MAX),
      fc.stringMatching(/^[0-9a-f]{32}$/),
      fc.nat(1000),
      fc.boolean(),
      (n, start, half, isFloor) => {
        const told = { stamp: { n, start: start as StartId }, life: 2 * half, isFloor };
        expect(parseStampMessage(printStampMessage(told))).toEqual(told);
      },
    ),
  );
  expect(message(5, "b", 0)).toBe(`peat1 5 ${"b".repeat(32)}`);
  expect(message(5, "b", 2, true)).toBe(`peat1 5 ${"b".repeat(32)} 2 whole`);
  const start = "0".repeat(32);
  for (const text of [
    null,
    "",
    "initial import",
    `peat1 05 ${start}`,
    `peat1 -1 ${start}`,
    `peat1 5 ${start.slice(1)}`,
    `peat1 5 ${start} 0`,
    `peat1 5 ${start} 3`,
    `peat1 5 ${start} 4294967294`,
    `peat1 9007199254740991 ${start}`,
    `peat1 5 ${start}\n`,
    `peat1 5 ${start} whole whole`,
    `peat1 5 ${start} whole 2`,
    `peat2 5 ${start}`,
  ]) {
    expect(parseStampMessage(text)).toBeUndefined();
  }
});

test("a foreign change is later than everything that it depends on, and in the same life", () => {
  const marks = new ChangeMarks([
    change("a", { message: message(900, "a", 2) }),
    change("b", { message: message(50, "b", 2), deps: ["a"] }),
    change("c", { deps: ["b"] }),
    change("d", {}),
  ]);
  // Not only than what it names: what was written last is not always the latest.
  expect(marks.ofChange("c")).toMatchObject({ stamp: { n: 901 }, life: 2, isOurs: false });
  expect(marks.ofChange("d")).toMatchObject({ stamp: { n: 1 }, life: 0 });
  expect(marks.life).toBe(2);
  expect(marks.reach).toBe(901);
});

test("the floor is that of the newest replacement of the newest life", () => {
  const floorAfter = (...messages: readonly string[]) =>
    new ChangeMarks(messages.map((text, n) => change(String(n), { message: text }))).floor.n;
  expect(floorAfter(message(5, "a", 0))).toBe(0);
  expect(floorAfter(message(7, "a", 0, true), message(5, "b", 0, true))).toBe(7);
  expect(floorAfter(message(7, "a", 0, true), message(9, "b", 2))).toBe(0);
  expect(floorAfter(message(9, "b", 2, true), message(11, "a", 0, true))).toBe(9);
});

test("the writer's clock counts, in seconds, unless it is none", () => {
  const n = (time: number) => new ChangeMarks([change("a", { time })]).ofChange("a")?.stamp.n;
  expect(n(1_800_000_000)).toBe(1_800_000_000 * 1000 * 1024);
  expect(n(7_258_118_400)).toBeLessThan(N_MAX);
  for (const time of [0, -5, 7_258_118_401, 1_800_000_000_000]) expect(n(time)).toBe(1);
});

test("operations find their change, whatever the actor wrote before and after", () => {
  const actor = "bb".repeat(16);
  const marks = new ChangeMarks([
    change("a", { actor, startOp: 1, maxOp: 4 }),
    change("x", {
      startOp: 1,
      maxOp: 9,
      message: message(7, "a", 0),
    }),
    change("b", { actor, startOp: 5, maxOp: 5, deps: ["a"] }),
    change("c", { actor, startOp: 12, maxOp: 20, deps: ["b", "x"] }),
  ]);
  const n = (counter: number) => marks.ofOperation(`${counter}@${actor}`)?.stamp.n;
  expect([1, 4, 5, 12, 20].map(n)).toEqual([1, 1, 2, 8, 8]);
  expect(n(21)).toBeUndefined();
  expect(marks.ofOperation("1@cc")).toBeUndefined();
});

test("actors of any length become 16 bytes, those of 16 bytes themselves", () => {
  expect(startOfActor("ab".repeat(16))).toBe(
    startId("a").replace(/./g, (_, i: number) => "ab"[i % 2] ?? "") as StartId,
  );
  const others = ["", "00", "ab".repeat(15), "ab".repeat(17), "ab".repeat(32)].map(startOfActor);
  for (const start of others) expect(start).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(others).size).toBe(others.length);
});

test("what is written for another guest, document, life or after a loss has another actor", () => {
  const of = { start: startId("a"), guest: "g", key: "tracks:1", life: 0, losses: 0 };
  const others = [
    of,
    { ...of, start: startId("b") },
    { ...of, guest: "h" },
    { ...of, key: "tracks:2" },
    { ...of, life: 2 },
    { ...of, losses: 1 },
  ].map(guestActor);
  expect(new Set(others).size).toBe(6);
  expect(guestActor({ ...of })).toBe(others[0] as StartId);
});
