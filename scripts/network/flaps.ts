// Five nodes, and the cable of one of them pulled out and put back every two seconds, while all write.
import { forEachBounded } from "../support/waiting.ts";
import { Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const FLAP_MS = 2_000;
const WRITES_PER_SECOND = 5;
const EQUAL_SECONDS_AIM = 20;

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const seconds = isFull ? 300 : 20;
  await using lab = await Lab.open({ executable, hosts: ["a", "b", "c", "d", "e"] });
  await lab.startAll();
  told(`${seconds} s of flapping, ${WRITES_PER_SECOND} writes a second on each node`);
  const endMs = performance.now() + seconds * 1_000;
  let acknowledged = 0;
  const flapping = (async () => {
    for (let isIn = false; performance.now() < endMs; isIn = !isIn) {
      lab.host("e").plug(isIn);
      await Bun.sleep(FLAP_MS);
    }
    lab.host("e").plug(true);
  })();
  const writing = forEachBounded(lab.hosts, lab.hosts.length, async (host) => {
    for (let n = 0; performance.now() < endMs; n += 1) {
      await host.node.api.put("tracks", `${host.name}-${n}`, { n });
      acknowledged += 1;
      await Bun.sleep(1_000 / WRITES_PER_SECOND);
    }
  });
  await Promise.all([flapping, writing]);
  const equalMs = await lab.equal(acknowledged, 120_000);
  await lab.connected();
  return [
    { what: "acknowledged writes, all on all nodes", value: acknowledged, unit: "" },
    { what: "equal after", value: equalMs / 1_000, unit: "s", aim: EQUAL_SECONDS_AIM },
  ];
}

export const FLAPS: Scenario = { name: "flapping link", run };
