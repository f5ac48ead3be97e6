import { expect, test } from "bun:test";
import fc from "fast-check";
import { BoundedQueue } from "../../../src/base/queue.ts";

test("a reader gets every item in order, or is told exactly how many it missed", async () => {
  const steps = fc.array(fc.oneof(fc.constant("push"), fc.constant("take")), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (capacity, list) => {
      const queue = new BoundedQueue<number>(capacity);
      let [pushed, accounted] = [0, 0];
      const takeOne = async () => {
        const taken = await queue.take();
        if (taken?.kind === "item") {
          accounted += 1;
          expect(taken.item).toBe(accounted);
        } else accounted += taken?.missed ?? 0;
        return taken;
      };
      for (const step of list) {
        if (step === "push") {
          pushed += 1;
          queue.push(pushed);
          expect(queue.length).toBeLessThanOrEqual(capacity);
        } else if (accounted < pushed) await takeOne();
      }
      queue.close();
      while ((await takeOne()) !== undefined) {
        // Until the end.
      }
      expect(accounted).toBe(pushed);
    }),
  );
});

test("a reader that waits is woken by an item, and by the end", async () => {
  const queue = new BoundedQueue<string>(1);
  const first = queue.take();
  queue.push("a");
  expect(await first).toEqual({ kind: "item", item: "a" });
  const second = queue.take();
  queue.close();
  expect(await second).toBeUndefined();
  queue.push("late");
  expect(await queue.take()).toBeUndefined();
});

test("a queue is bounded by what its items weigh as well, and always keeps one", async () => {
  const queue = new BoundedQueue<string>(100, { of: (item) => item.length, max: 10 });
  queue.push("far too heavy for it");
  expect(queue.length).toBe(1);
  queue.push("x");
  expect(await queue.take()).toEqual({ kind: "item", item: "far too heavy for it" });
  expect(await queue.take()).toEqual({ kind: "gap", missed: 1 });
  for (const item of ["12345", "12345", "1"]) queue.push(item);
  expect(queue.length).toBe(2);
  await queue.take();
  await queue.take();
  expect(await queue.take()).toEqual({ kind: "gap", missed: 1 });
  queue.push("1234567890");
  expect(queue.length).toBe(1);
});
