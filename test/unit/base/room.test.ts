import { expect, test } from "bun:test";
import { Fault } from "../../../src/base/faults.ts";
import { Room } from "../../../src/base/room.ts";
import { faultCode } from "../../support/faults.ts";

test("takes so many and refuses the next by a sentence that names them", () => {
  const room = new Room(2, "writes are under way already");
  const leave = room.enter();
  room.enter();
  expect(() => room.enter()).toThrow("2 writes are under way already; try again");
  expect(faultCode(() => room.enter())).toBe("overloaded");
  leave();
  expect(room.taken).toBe(1);
  room.enter();
});

test("who leaves twice makes room once", () => {
  const room = new Room(2, "");
  const leave = room.enter();
  room.enter();
  leave();
  leave();
  expect(room.taken).toBe(1);
});

test("work has its place until it ends, well or badly", async () => {
  const room = new Room(1, "");
  const { promise, resolve } = Promise.withResolvers<string>();
  const working = room.during(() => promise);
  expect(room.taken).toBe(1);
  await expect(room.during(() => Promise.resolve("refused"))).rejects.toBeInstanceOf(Fault);
  resolve("done");
  expect(await working).toBe("done");
  const failing = room.during(() => Promise.reject(new Error("broken")));
  await expect(failing).rejects.toThrow("broken");
  expect(room.taken).toBe(0);
});
