// What the operator sees of compaction, word by word as the older node's guide has it.
import { afterEach, describe, expect, test } from "bun:test";
import { CompactionFigures, compactInBackground } from "../../src/background-compaction.ts";
import { openLog, parseLogFilter } from "../../src/base/log.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { LateNode } from "../support/late-node.ts";
import { key } from "../support/memory-store.ts";

const INTERVAL_SECS = 60;

function openLines(): string[] {
  const lines: string[] = [];
  openLog({
    filter: parseLogFilter("info,peat_mesh=debug"),
    format: "text",
    colour: false,
    write: (line) => lines.push(line),
  });
  return lines;
}

afterEach(() => {
  openLog({ filter: parseLogFilter("off"), format: "text", colour: false, write: () => undefined });
});

/** The lines about compaction, without their times. */
function told(lines: readonly string[]): string[] {
  return lines
    .filter((line) => /compact/i.test(line))
    .map((line) => line.slice("2027-01-15T08:00:00.000000Z ".length).trim());
}

const TARGET = "peat_mesh::storage::automerge_store:";

interface World extends AsyncDisposable {
  readonly node: LateNode;
  readonly lines: string[];
  readonly figures: CompactionFigures;
  stop(): Promise<void>;
}

function start(collections: readonly string[] = [], thresholdBytes = 0): World {
  const lines = openLines();
  const modes = [
    { collection: "trail", mode: { kind: "WindowedHistory", windowSecs: 60 } as const },
    { collection: "units", mode: { kind: "LatestOnly" } as const },
  ];
  const policies = new CollectionPolicies({ ...NO_CHOICES, modes });
  const node = new LateNode({ policies });
  const ending = new AbortController();
  const { store, clock } = node;
  const figures = new CompactionFigures();
  const options = {
    store,
    clock,
    intervalSecs: INTERVAL_SECS,
    thresholdBytes,
    collections,
    figures,
  };
  const done = compactInBackground(options, ending.signal);
  const stop = async () => {
    ending.abort();
    await done;
  };
  const dispose = async () => {
    await stop();
    await node[Symbol.asyncDispose]();
  };
  return { node, lines, figures, stop, [Symbol.asyncDispose]: dispose };
}

async function writeTen({ node }: World, name: string): Promise<number> {
  for (let i = 0; i < 10; i += 1) await node.patch(name, { i });
  await node.rendered();
  return node.store.renderings.read(key(name))?.length ?? 0;
}

describe("at the start", () => {
  test("without a list, the collections are all whose mode is LatestOnly, changed modes included", async () => {
    await using world = start([], 65_536);
    const collections =
      '["beacons", "platforms", "tracks", "nodes", "cells", "node_states", "squad_summaries", "platoon_summaries", "company_summaries", "file_distributions", "units"]';
    expect(told(world.lines)).toEqual([
      `INFO ${TARGET} Auto-derived compaction collections from LatestOnly sync modes collections=${collections}`,
      `INFO ${TARGET} Background compaction started (per-collection) interval_secs=60 threshold_bytes=65536 collections=${collections}`,
    ]);
  });

  test("of listed collections, each that is not LatestOnly is warned of, with what becomes of it", async () => {
    await using world = start(["tracks", "reports", "trail", "tracks"]);
    expect(told(world.lines)).toEqual([
      `WARN ${TARGET} Compaction collection uses a non-LatestOnly sync mode and is left alone collection=reports sync_mode=FullHistory`,
      `WARN ${TARGET} Compaction collection uses a non-LatestOnly sync mode; only what is older than its window goes collection=trail sync_mode=WindowedHistory:60`,
      `INFO ${TARGET} Background compaction started (per-collection) interval_secs=60 threshold_bytes=0 collections=["tracks", "trail"]`,
    ]);
  });
});

test("a sweep tells what it took, after the interval and not before, and is silent when it took nothing", async () => {
  await using world = start(["tracks", "units"]);
  const { node, lines } = world;
  const before = (await writeTen(world, "tracks:1")) + (await writeTen(world, "tracks:2"));
  const units = await writeTen(world, "units:1");
  lines.splice(0);
  await node.clock.advance(10_000);
  expect(told(lines)).toEqual([]);
  await node.clock.advance(INTERVAL_SECS * 1000);
  const size = (name: string) => node.store.renderings.read(key(name))?.length ?? 0;
  const after = size("tracks:1") + size("tracks:2");
  const percent = (from: number, to: number) => `${((100 * (from - to)) / from).toFixed(1)}%`;
  const one = size("tracks:1");
  expect(told(lines)).toEqual([
    `DEBUG ${TARGET} Compacted document tracks:1: ${before / 2} -> ${one} bytes (${percent(before / 2, one)} reduction)`,
    `DEBUG ${TARGET} Compacted document tracks:2: ${before / 2} -> ${one} bytes (${percent(before / 2, one)} reduction)`,
    `INFO ${TARGET} Compacted 2 documents with prefix 'tracks:': ${before} -> ${after} bytes (${percent(before, after)} reduction)`,
    `DEBUG ${TARGET} Compacted document units:1: ${units} -> ${size("units:1")} bytes (${percent(units, size("units:1"))} reduction)`,
    `INFO ${TARGET} Compacted 1 documents with prefix 'units:': ${units} -> ${size("units:1")} bytes (${percent(units, size("units:1"))} reduction)`,
    `INFO ${TARGET} background compaction complete count=3 before=${before + units} after=${after + size("units:1")}`,
  ]);
  const totals = { documents: 3, beforeBytes: before + units, afterBytes: after + size("units:1") };
  expect(world.figures).toMatchObject(totals);
  lines.splice(0);
  await node.clock.advance(3 * INTERVAL_SECS * 1000);
  expect(told(lines)).toEqual([]);
  expect(world.figures).toMatchObject(totals);
  expect(world.figures.sweeps.times.cumulated().at(-1)).toBe(4);
});

test("a listed collection with its full history keeps it, byte by byte", async () => {
  await using world = start(["reports"]);
  await writeTen(world, "reports:1");
  const before = world.node.store.stateFor(key("reports:1"));
  await world.node.clock.advance(3 * INTERVAL_SECS * 1000);
  expect(world.node.store.stateFor(key("reports:1"))).toEqual(before);
});

test("a sweep that fails says so, and the next one does its work", async () => {
  await using world = start();
  const { node, lines } = world;
  await writeTen(world, "tracks:1");
  lines.splice(0);
  node.isReadOnly = true;
  await node.clock.advance(INTERVAL_SECS * 1000);
  expect(told(lines)).toEqual([
    expect.stringMatching(/WARN .* background compaction failed: \S+ can't be written /),
  ]);
  expect(world.figures.sweeps).toMatchObject({ failures: 1 });
  node.isReadOnly = false;
  await node.clock.advance(INTERVAL_SECS * 1000);
  expect(told(lines).at(-1)).toContain("background compaction complete count=1 ");
});

test("its end is told", async () => {
  await using world = start();
  world.lines.splice(0);
  await world.stop();
  expect(told(world.lines)).toEqual([`INFO ${TARGET} background compaction cancelled`]);
});
