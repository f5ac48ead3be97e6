// How a table of EndpointSlices is kept true, on a virtual clock: by a watch at once, by a list in half a minute.
import { afterEach, describe, expect, test } from "bun:test";
import { RequestFailure } from "../../../src/discovery/kubernetes-watch.ts";
import { WatchWorld } from "../../support/kubernetes/watch-world.ts";

let world: WatchWorld;
afterEach(() => world.close());

async function opened(...names: readonly string[]): Promise<WatchWorld> {
  world = new WatchWorld();
  if (names.length > 0) world.pods("a", ...names);
  await world.clock.advance(1);
  return world;
}

const reset = () => new RequestFailure("connection reset");

describe("the watch", () => {
  test("begins where the list ended, and tells of a pod without any delay", async () => {
    const { api, clock } = await opened("p1");
    expect(api.requests).toEqual(["list", `watch ${api.version}`]);
    expect(world.peers).toEqual(["p1"]);
    world.pods("a", "p1", "p2");
    await clock.advance(0);
    expect(world.peers).toEqual(["p1", "p2"]);
    api.delete("a");
    await clock.advance(0);
    expect(world.peers).toEqual([]);
  });

  test("that ends in good order goes on where it ended, without a list", async () => {
    const { api, clock } = await opened("p1");
    world.pods("a", "p1", "p2");
    await clock.advance(20_000);
    const { version } = api;
    api.endWatches("good");
    await clock.advance(1);
    expect(api.requests).toEqual(["list", "watch 101", `watch ${version}`]);
    expect(api.openWatches).toBe(1);
  });

  test("goes on after a bookmark's version, so that a quiet one does not grow too old", async () => {
    const { api, clock } = await opened("p1");
    api.passVersions(1000);
    api.bookmark();
    await clock.advance(20_000);
    api.compact();
    api.endWatches("good");
    await clock.advance(1);
    expect(api.requests.at(-1)).toBe(`watch ${api.version}`);
    expect(world.failures("watch failed")).toBe(0);
  });

  test("from a version that is forgotten (410) is begun anew after a list, at once", async () => {
    const { api, clock } = await opened("p1");
    await clock.advance(20_000);
    api.isMute = true;
    world.pods("a", "p2");
    api.isMute = false;
    api.compact();
    api.endWatches("good");
    await clock.advance(300);
    expect(world.peers).toEqual(["p2"]);
    expect(api.requests.slice(2)).toEqual(["watch 101", "list >=101", "watch 102"]);
  });

  test("that breaks off is begun anew after a list, in a tenth of a second", async () => {
    const { api, clock } = await opened("p1");
    await clock.advance(20_000);
    api.isMute = true;
    world.pods("a", "p2");
    api.isMute = false;
    api.endWatches(reset());
    await clock.advance(150);
    expect(world.peers).toEqual(["p2"]);
    expect(api.openWatches).toBe(1);
  });

  test("that ends at once, again and again, is not asked for without pause", async () => {
    const { api, clock } = await opened("p1");
    for (let i = 0; i < 600; i += 1) {
      api.endWatches(i % 2 === 0 ? "good" : reset());
      await clock.advance(100);
    }
    expect(api.requests.length).toBeLessThan(30);
    await clock.advance(40_000);
    expect(api.openWatches).toBe(1);
  });

  test("that is refused leaves the list, every half minute", async () => {
    world = new WatchWorld((api) => {
      api.watchTrouble = new RequestFailure("forbidden", 403);
    });
    await world.clock.advance(60_000);
    world.pods("a", "p1");
    await world.clock.advance(40_000);
    expect(world.peers).toEqual(["p1"]);
    world.api.watchTrouble = undefined;
    await world.clock.advance(40_000);
    expect(world.api.openWatches).toBe(1);
  });

  test("that says nothing for two and a half minutes is begun anew", async () => {
    const { api, clock } = await opened("p1");
    await clock.advance(149_000);
    expect(api.requests.filter((request) => request.startsWith("watch")).length).toBe(1);
    await clock.advance(2_000);
    expect(api.requests.filter((request) => request.startsWith("watch")).length).toBe(2);
    expect(world.failures("watch failed")).toBe(0);
    for (let minute = 0; minute < 10; minute += 1) {
      await clock.advance(60_000);
      api.bookmark();
    }
    await clock.advance(1);
    expect(api.requests.filter((request) => request.startsWith("watch")).length).toBe(2);
  });

  test("that never begins to answer is given up after 10 s", async () => {
    world = new WatchWorld((api) => {
      api.watchTrouble = "no answer";
    });
    await world.clock.advance(9_900);
    expect(world.failures("watch failed")).toBe(0);
    await world.clock.advance(200);
    expect(world.failures("watch failed")).toBe(1);
  });

  test("is not disturbed by events that make no sense", async () => {
    const { api, clock } = await opened("p1");
    for (const event of [7, null, { type: "LATER" }, { type: "ADDED", object: { metadata: {} } }]) {
      api.say(event);
    }
    world.pods("a", "p1", "p2");
    await clock.advance(0);
    expect(world.peers).toEqual(["p1", "p2"]);
    expect(api.openWatches).toBe(1);
  });
});

describe("the list", () => {
  test("is asked for every half minute, and may come from the server's cache", async () => {
    const { api, clock } = await opened("p1");
    await clock.advance(61_000);
    expect(api.requests).toEqual(["list", "watch 101", "list >=101", "list >=101"]);
  });

  test("finds what a watch that has died unnoticed has missed, and replaces the watch", async () => {
    const { api, clock } = await opened("p1");
    api.isMute = true;
    world.pods("a", "p1", "p2");
    await clock.advance(29_000);
    expect(world.peers).toEqual(["p1"]);
    await clock.advance(5_000);
    expect(world.peers).toEqual(["p1", "p2"]);
    expect(api.requests.at(-1)).toBe(`watch ${api.version}`);
    expect(api.openWatches).toBe(1);
  });

  test("that has replaced a watch is not spoilt by what that one still had to say", async () => {
    const { api, clock } = await opened("p1");
    api.isMute = true;
    const late = Promise.withResolvers<void>();
    const begin = api.watch.bind(api);
    api.watch = async (from, signal) => {
      // The watch has these in its hands when it is aborted.
      api.watch = begin;
      await begin(from, signal);
      return (async function* () {
        await late.promise;
        yield { type: "DELETED", object: { metadata: { name: "a", resourceVersion: "1" } } };
      })();
    };
    api.endWatches("good");
    world.pods("a", "p1", "p2");
    await clock.advance(34_000);
    expect(world.peers).toEqual(["p1", "p2"]);
    late.resolve();
    await clock.advance(1);
    expect(world.peers).toEqual(["p1", "p2"]);
  });

  test("that was overtaken by the watch takes nothing back", async () => {
    const { api, clock } = await opened("p1");
    const delay = Promise.withResolvers<void>();
    api.listDelay = delay.promise;
    await clock.advance(31_000);
    expect(api.requests.at(-1)).toBe("list >=101");
    world.pods("a", "p1", "p2");
    await clock.advance(0);
    const told = world.events.length;
    delay.resolve();
    await clock.advance(1);
    expect(world.peers).toEqual(["p1", "p2"]);
    expect(world.events.length).toBe(told);
    expect(api.requests.filter((request) => request.startsWith("watch")).length).toBe(1);
  });

  test("that fails is repeated ever less often, and nothing is lost meanwhile", async () => {
    const { api, clock } = await opened("p1");
    api.listTrouble = reset();
    api.endWatches(reset());
    await clock.advance(600_000);
    expect(world.peers).toEqual(["p1"]);
    const failures = world.failures("list failed");
    expect(failures).toBeWithin(20, 35);
    api.listTrouble = undefined;
    world.pods("a", "p2");
    await clock.advance(36_000);
    expect(world.peers).toEqual(["p2"]);
    expect(api.openWatches).toBe(1);
  });

  test("without an answer for 10 s ends the watch too: it hangs on the same server", async () => {
    const { api, clock } = await opened("p1");
    api.listTrouble = "no answer";
    await clock.advance(39_000);
    expect(api.openWatches).toBe(1);
    await clock.advance(5_000);
    expect(world.failures("list failed")).toBe(1);
    expect(api.openWatches).toBe(0);
    api.listTrouble = undefined;
    // The attempt that is under way hangs until its own ten seconds are over.
    await clock.advance(11_000);
    expect(api.openWatches).toBe(1);
  });

  test("that is refused leaves the watch as it is", async () => {
    const { api, clock } = await opened("p1");
    api.listTrouble = new RequestFailure("too many requests", 429);
    await clock.advance(60_000);
    expect(world.failures("list failed")).toBeGreaterThan(0);
    world.pods("a", "p1", "p2");
    await clock.advance(0);
    expect(world.peers).toEqual(["p1", "p2"]);
  });

  test("waits as long as the server asks for, up to a minute", async () => {
    world = new WatchWorld((api) => {
      api.listTrouble = new RequestFailure("slow down", 429, 20_000);
    });
    await world.clock.advance(19_000);
    expect(world.api.requests).toEqual(["list"]);
    world.api.listTrouble = new RequestFailure("slow down", 429, 86_400_000);
    await world.clock.advance(2_000);
    expect(world.api.requests).toEqual(["list", "list"]);
    world.api.listTrouble = undefined;
    await world.clock.advance(60_000);
    expect(world.api.openWatches).toBe(1);
  });

  test("that is no list is a failure", async () => {
    world = new WatchWorld((api) => {
      api.list = () => Promise.resolve({ kind: "Status" });
    });
    await world.clock.advance(1);
    expect(world.failures("list failed")).toBe(1);
  });

  test("finds its way after the server's store was restored from a backup", async () => {
    const { api, clock } = await opened("p1");
    await clock.advance(10_000);
    api.restore(50);
    world.pods("a", "p2");
    await clock.advance(1_000);
    expect(world.peers).toEqual(["p2"]);
    expect(api.requests.at(-1)).toBe("watch 51");
  });
});

test("closing ends every request, whatever is under way", async () => {
  for (const trouble of ["listTrouble", "watchTrouble"] as const) {
    world = new WatchWorld((api) => {
      api[trouble] = "no answer";
    });
    await world.clock.advance(1);
    await world.close();
    const { length } = world.api.requests;
    await world.clock.advance(120_000);
    expect(world.api.requests.length).toBe(length);
    expect(world.api.openWatches).toBe(0);
  }
});
