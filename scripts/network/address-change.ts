// A node whose address changes while it runs, as when a vehicle moves to another network: nobody is told, and the
// others' lists go on naming the old one. What it writes then has to arrive, and what others write has to reach it.
import { waitFor } from "../support/waiting.ts";
import { type Host, Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const SEEN_SECONDS_AIM = 5;
const LIMIT_MS = 120_000;

/** Seconds until a write of `author` is seen by all `readers`. */
async function seenAfter(id: string, author: Host, readers: readonly Host[]): Promise<number> {
  const sinceMs = performance.now();
  await author.node.api.put("tracks", id, { by: author.name });
  const seen = readers.map(({ name, node }) =>
    waitFor(`${id} on ${name}`, LIMIT_MS, async () => {
      return (await node.api.get("tracks", id)) !== undefined || undefined;
    }),
  );
  await Promise.all(seen);
  return (performance.now() - sinceMs) / 1_000;
}

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  await using lab = await Lab.open({ executable, hosts: ["a", "b", "c", "d", "e"] });
  await lab.startAll();
  const mover = lab.host("e");
  const others = lab.hosts.filter((host) => host !== mover);
  const figures: Figure[] = [];
  let moves = 0;
  const move = async (what: string, measure: (id: string) => Promise<number>) => {
    moves += 1;
    mover.moveTo(`10.77.0.${100 + moves}`);
    told(`${mover.name} has another address`);
    const value = await measure(`move-${moves}`);
    figures.push({ what: `move ${moves}: ${what}`, value, unit: "s", aim: SEEN_SECONDS_AIM });
    await lab.connected(120_000);
  };
  for (let round = 1; round <= (isFull ? 5 : 1); round += 1) {
    await move("its write seen by all after", (id) => seenAfter(id, mover, others));
    await move("another's write seen by it after", (id) => seenAfter(id, lab.host("a"), [mover]));
  }
  return figures;
}

export const ADDRESS_CHANGE: Scenario = { name: "address change", run };
