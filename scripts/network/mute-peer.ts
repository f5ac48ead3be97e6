// A member that is connected and reads nothing, while the node is written to as quickly as it takes: what the node
// keeps for it must not grow with what is written.
import { joinAs } from "../hostile/stranger.ts";
import { Victim } from "../hostile/victim.ts";
import { Random } from "../model/random.ts";
import { forEachBounded } from "../support/waiting.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const DOCUMENT_CHARS = 4_096;
const LANES = 16;
/** The same writes without such a peer make caches grow, too: what queues for one is 4 MiB and 50,000 names. */
const GROWN_MB_MAX = 60;

/** Writes new documents until the time is over; resolves with their number. */
async function writeFor(victim: Victim, prefix: string, seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  const random = new Random(1);
  let written = 0;
  const lanes = Array.from({ length: LANES }, (_, lane) => lane);
  await forEachBounded(lanes, LANES, async (lane) => {
    for (let n = 0; performance.now() < endMs; n += 1) {
      const text = random.fill(new Uint8Array((DOCUMENT_CHARS * 3) / 4)).toBase64();
      await victim.attacked.api.put("tracks", `${prefix}-${lane}-${n}`, { text });
      written += 1;
    }
  });
  return written;
}

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const seconds = isFull ? 60 : 10;
  await using victim = await Victim.start(executable);
  // What any load costs comes first.
  await writeFor(victim, "warm", seconds / 4);
  const before = victim.residentMb();
  const mute = await joinAs(victim.target, { formation: victim.formation, name: "mute" });
  const written = await writeFor(victim, "load", seconds);
  const grown = victim.residentMb() - before;
  told(`${written} documents of ${DOCUMENT_CHARS} characters in ${seconds} s`);
  await mute.close();
  return [
    { what: "MB written meanwhile", value: (written * DOCUMENT_CHARS) / 1e6, unit: "MB" },
    { what: "resident memory grown by", value: grown, unit: "MB", most: GROWN_MB_MAX },
  ];
}

export const MUTE_PEER: Scenario = { name: "peer that reads nothing", run };
