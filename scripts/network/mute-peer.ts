// Members that are connected and read nothing, while the node is written to as quickly as it takes: what the node
// keeps for them must not grow with what is written.
import { joinAs } from "../hostile/stranger.ts";
import { Victim } from "../hostile/victim.ts";
import { Random } from "../model/random.ts";
import { forEachBounded } from "../support/waiting.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const DOCUMENT_CHARS = 4_096;
const LANES = 16;
const DOCUMENTS = 16_000;
const MUTE_PEERS = 4;
/** What any load costs, and 4 MiB and 50,000 names for each of them: half of what all the documents would be. */
const GROWN_MB_MAX = (DOCUMENTS * DOCUMENT_CHARS * MUTE_PEERS) / 2 / 1e6;

interface Load {
  readonly prefix: string;
  readonly documents: number;
  /** At least. */
  readonly seconds: number;
}

/** Writes new documents, so many and so long; resolves with their number. */
async function write(victim: Victim, { prefix, documents, seconds }: Load): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  const random = new Random(1);
  let written = 0;
  const lanes = Array.from({ length: LANES }, (_, lane) => lane);
  await forEachBounded(lanes, LANES, async (lane) => {
    for (let n = 0; written < documents || performance.now() < endMs; n += 1) {
      written += 1;
      const text = random.text(DOCUMENT_CHARS);
      await victim.attacked.api.put("tracks", `${prefix}-${lane}-${n}`, { text });
    }
  });
  return written;
}

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const seconds = isFull ? 60 : 0;
  await using victim = await Victim.start(executable);
  // What any load costs comes first.
  await write(victim, { prefix: "warm", documents: DOCUMENTS / 4, seconds: seconds / 4 });
  const before = victim.residentMb();
  const names = Array.from({ length: MUTE_PEERS }, (_, n) => `mute-${n}`);
  const { target, formation } = victim;
  const mute = await Promise.all(names.map((name) => joinAs(target, { formation, name })));
  const sinceMs = performance.now();
  const written = await write(victim, { prefix: "load", documents: DOCUMENTS, seconds });
  const grown = victim.residentMb() - before;
  const tookSeconds = ((performance.now() - sinceMs) / 1_000).toFixed(0);
  told(`${written} documents of ${DOCUMENT_CHARS} characters in ${tookSeconds} s`);
  await Promise.all(mute.map((peer) => peer.close()));
  return [
    { what: "MB written meanwhile", value: (written * DOCUMENT_CHARS) / 1e6, unit: "MB" },
    { what: "resident memory grown by", value: grown, unit: "MB", most: GROWN_MB_MAX },
  ];
}

export const MUTE_PEER: Scenario = { name: "peers that read nothing", run };
