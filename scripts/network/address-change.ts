// A node whose address changes while it runs, as when a vehicle moves to another network: nobody is told, and the
// others' lists go on naming the old one.
import { waitFor } from "../support/waiting.ts";
import { Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const SEEN_SECONDS_AIM = 30;
const CONNECTED_SECONDS_AIM = 60;

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  await using lab = await Lab.open({ executable, hosts: ["a", "b", "c", "d", "e"] });
  await lab.startAll();
  const mover = lab.host("e");
  const figures: Figure[] = [];
  for (let move = 1; move <= (isFull ? 5 : 1); move += 1) {
    mover.moveTo(`10.77.0.${100 + move}`);
    told(`${mover.name} has another address`);
    const sinceMs = performance.now();
    await mover.node.api.put("tracks", `move-${move}`, { move });
    const others = lab.hosts.filter((host) => host !== mover);
    const seen = others.map(({ name, node }) =>
      waitFor(`move ${move} on ${name}`, 120_000, async () => {
        return (await node.api.get("tracks", `move-${move}`)) !== undefined || undefined;
      }),
    );
    await Promise.all(seen);
    const seconds = (performance.now() - sinceMs) / 1_000;
    figures.push({
      what: `move ${move}: seen by all after`,
      value: seconds,
      unit: "s",
      aim: SEEN_SECONDS_AIM,
    });
    await lab.connected(120_000);
    const reconnected = (performance.now() - sinceMs) / 1_000;
    figures.push({
      what: `move ${move}: connected to all after`,
      value: reconnected,
      unit: "s",
      aim: CONNECTED_SECONDS_AIM,
    });
  }
  return figures;
}

export const ADDRESS_CHANGE: Scenario = { name: "address change", run };
