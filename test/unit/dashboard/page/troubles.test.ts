import { expect, test } from "bun:test";
import { troubles } from "../../../../src/dashboard/page/troubles.ts";

const peer = (name: string, isConnected = false) => ({ name, isConnected });
const messages = (isSyncing: boolean, ...peers: readonly ReturnType<typeof peer>[]) =>
  troubles({ isSyncing }, peers).map(({ message }) => message);

test("nothing is wrong while all peers are connected, or there are none", () => {
  expect(messages(true)).toEqual([]);
  expect(messages(true, peer("a", true), peer("b", true))).toEqual([]);
});

test("peers that are away are named, of many the first three", () => {
  expect(messages(true, peer("a", true), peer("b"))).toEqual(["not connected: b (1 of 2)"]);
  const five = ["a", "b", "c", "d", "e"].map((name) => peer(name));
  expect(messages(true, ...five)).toEqual(["not connected: a, b, c and 2 more (5 of 5)"]);
});

test("where sync is stopped that is what is said, not what follows from it", () => {
  expect(messages(false, peer("a"))).toEqual([
    "sync is stopped: no peer is connected until it is started",
  ]);
});
