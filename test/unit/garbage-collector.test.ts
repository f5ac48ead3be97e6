// What the operator sees of the garbage collector, word by word as of the older node's, and when it works.
import { afterEach, describe, expect, test } from "bun:test";
import { openLog, parseLogFilter } from "../../src/base/log.ts";
import { collectGarbage, GarbageFigures } from "../../src/garbage-collector.ts";
import { AgingStore, HOUR_MS } from "../support/aging-store.ts";
import { key } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

afterEach(() => {
  openLog({ filter: parseLogFilter("off"), format: "text", colour: false, write: () => undefined });
});

const TARGET = "peat_mesh::qos::garbage_collection:";

function world(intervalSecs = 300) {
  const lines: string[] = [];
  openLog({
    filter: parseLogFilter("info,peat_mesh=debug"),
    format: "text",
    colour: false,
    write: (line) => lines.push(line),
  });
  const clock = new VirtualClock();
  const node = new AgingStore({ clock });
  const end = new AbortController();
  const figures = new GarbageFigures();
  const ended = collectGarbage({ store: node.store, clock, intervalSecs, figures }, end.signal);
  const told = () =>
    lines
      .filter((line) => line.includes(TARGET))
      .map((line) => line.slice("2027-01-15T08:00:00.000000Z ".length).trim());
  return {
    clock,
    node,
    told,
    figures,
    async [Symbol.asyncDispose]() {
      end.abort();
      await ended;
      node[Symbol.dispose]();
    },
  };
}

describe("the garbage collector", () => {
  test("tells its interval, and sweeps first when that has passed", async () => {
    await using it = world();
    await it.clock.advance(299_000);
    expect(it.told()).toEqual([`INFO ${TARGET} Garbage collector started (interval=5m)`]);
    await it.clock.advance(2_000);
    expect(it.told().at(-1)).toBe(`DEBUG ${TARGET} Periodic GC: no work to do`);
  });

  test("tells an interval that is no whole number of minutes in seconds", async () => {
    await using it = world(90);
    expect(it.told()).toEqual([`INFO ${TARGET} Garbage collector started (interval=90s)`]);
  });

  test("lets go in many turns what is much, and tells it in one line", async () => {
    await using it = world(7200);
    const tracks = Array.from({ length: 300 }, (_, n) => `tracks:${n}`);
    const beacons = Array.from({ length: 200 }, (_, n) => `beacons:${n}`);
    await Promise.all([...tracks, ...beacons].map((name) => it.node.put(name, { n: 1 })));
    await Promise.all(tracks.map((name) => it.node.remove(name)));
    await it.clock.advance(2 * HOUR_MS);
    // The first turn has been; others have theirs before the second.
    expect(it.node.store.summary().tombstones).toBe(300 - 128);
    await it.clock.advance(1_000);
    expect(it.node.store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
    expect(it.told().at(-1)).toMatch(
      /^INFO .*: Periodic GC: collected 300 tombstones, 200 documents in \d+\.\d{3}ms$/,
    );
    expect(it.figures).toMatchObject({ tombstones: 300, documents: 200 });
    expect(it.node.store.stateFor(key("tracks:1"))).toBeDefined();
    expect(it.node.store.stateFor(key("beacons:1"))).toBeUndefined();
  });

  test("puts off what a full disk does not take, and does it later", async () => {
    await using it = world(7200);
    await it.node.put("tracks:1", { n: 1 });
    await it.node.remove("tracks:1");
    it.node.isDiskFull = true;
    await it.clock.advance(2 * HOUR_MS);
    expect(it.told().at(-1)).toContain("WARN");
    expect(it.told().at(-1)).toContain("Periodic GC put off");
    expect(it.node.store.summary().tombstones).toBe(1);
    expect(it.figures.sweeps.failures).toBe(1);
    it.node.isDiskFull = false;
    await it.clock.advance(2 * HOUR_MS);
    expect(it.told().at(-1)).toContain("collected 1 tombstones, 0 documents");
  });
});
