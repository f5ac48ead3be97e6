// Five nodes, one of them behind a link of 64 kbit/s that is 600 ms long, there and back, and loses one frame in five.
import { changesBytes, writeReports } from "./changes.ts";
import { Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const BYTES_PER_SECOND = 8_000;
const QUALITY = { bytesPerSecond: BYTES_PER_SECOND, delayMs: 300, lossPercent: 20 };

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const documents = isFull ? 2_000 : 300;
  const hosts = ["a", "b", "c", "d", "e"];
  await using lab = await Lab.open({ executable, hosts, wired: ["e"] });
  await lab.startAll();
  // Who has just met compares everything it has: that is another matter.
  await lab.settled();
  const far = lab.host("e");
  await far.degrade(QUALITY);
  told(`writing ${documents} documents on each side of the slow link`);
  const sinceMs = performance.now();
  const write = (name: string) =>
    writeReports(lab.host(name).node.api, { collection: "tracks", prefix: name, count: documents });
  await Promise.all([write("a"), write("e")]);
  await lab.equal(2 * documents, 400_000);
  const seconds = (performance.now() - sinceMs) / 1000;
  // Each direction has the whole bandwidth, and as much to carry as the other.
  const ideal = changesBytes(documents) / BYTES_PER_SECOND;
  return [
    { what: `equal after, of ${2 * documents} documents`, value: seconds, unit: "s" },
    {
      what: "times what their Automerge changes need at 64 kbit/s",
      value: seconds / ideal,
      unit: "",
      // A short run is mostly round trips.
      ...(isFull ? { aim: 2 } : {}),
    },
  ];
}

export const SLOW_LINK: Scenario = { name: "slow link that loses a fifth", run };
