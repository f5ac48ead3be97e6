// Older nodes as guests of ours: what they write and what we write, both ways, over virtual time.
import { describe, expect, test } from "bun:test";
import { GuestFormation } from "../support/guest-formation.ts";

describe("a guest and one node", () => {
  test("have each other's documents, with history and without", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    guest.write("notes:1", { from: "guest" });
    guest.write("tracks:1", { from: "guest", lat: 1.5 });
    const node = await world.node("new-1");
    await node.put("notes:2", { from: "node", n: 5, list: [1, "two", { three: 3 }] });
    await node.put("tracks:2", { from: "node", lat: 2.0 });
    await world.until(
      "the node has the guest's",
      () => node.read("notes:1") !== undefined && node.read("tracks:1") !== undefined,
    );
    await world.until(
      "the guest has the node's",
      () => guest.json("notes:2") !== undefined && guest.json("tracks:2") !== undefined,
    );
    expect(node.read("notes:1")).toBe('{"from":"guest"}');
    expect(node.read("tracks:1")).toBe('{"from":"guest","lat":1.5}');
    expect(guest.json("notes:2")).toEqual({ from: "node", n: 5, list: [1, "two", { three: 3 }] });
    expect(guest.json("tracks:2")).toEqual({ from: "node", lat: 2 });
    await world.seconds(60);
    expect(guest.breakerOf(node.id)).toBe("closed");
    console.log(
      guest.counters,
      guest.log.slice(-10),
      node.guestSession("old-1")?.isLevel,
      node.guestSession("old-1")?.refused,
      world.bugs,
    );
  });
});
