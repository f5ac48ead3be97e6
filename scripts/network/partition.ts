// Two nodes and three nodes that don't hear each other, documents on both sides, and the cable put back.
import { changesBytes, writeReports } from "./changes.ts";
import { Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const LEFT = ["a", "b"];
const RIGHT = ["c", "d", "e"];
const EQUAL_SECONDS_AIM = 30;
const BYTES_RATIO_MAX = 1.5;

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const documents = isFull ? 5_000 : 500;
  const figures: Figure[] = [];
  for (const collection of isFull ? ["tracks", "notes"] : ["tracks"]) {
    await using lab = await Lab.open({ executable, hosts: [...LEFT, ...RIGHT] });
    await lab.startAll();
    lab.part(LEFT);
    await lab.parted(LEFT);
    told(`parted; writing ${documents} ${collection} on each side`);
    await Promise.all([
      writeReports(lab.host("a").node.api, { collection, prefix: "left", count: documents }),
      writeReports(lab.host("c").node.api, { collection, prefix: "right", count: documents }),
    ]);
    await lab.equalAmong(LEFT, documents, 60_000);
    await lab.equalAmong(RIGHT, documents, 60_000);
    const before = lab.receivedBytes();
    lab.heal();
    const seconds = (await lab.equal(2 * documents, 120_000)) / 1000;
    const bytes = lab.receivedBytes() - before;
    // Everybody lacks what the other side wrote.
    const lacking = changesBytes(documents) * (LEFT.length + RIGHT.length);
    figures.push(
      { what: `${collection}: equal after`, value: seconds, unit: "s", aim: EQUAL_SECONDS_AIM },
      {
        what: `${collection}: bytes on all links / Automerge changes that were lacking`,
        value: bytes / lacking,
        unit: "",
        // Handshakes and comparisons count in a short run.
        most: isFull ? BYTES_RATIO_MAX : 2 * BYTES_RATIO_MAX,
      },
    );
  }
  return figures;
}

export const PARTITION: Scenario = { name: "partition of five, healed", run };
