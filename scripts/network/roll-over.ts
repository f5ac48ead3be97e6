// The formation's secret changed in a running formation of five, by three rolling restarts, while all nodes are
// written to: every acknowledged write is there afterwards, and after every single restart every two nodes meet.
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "../support/waiting.ts";
import { type Host, Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const PAUSE_MS = 50;
const MEET_SECONDS_AIM = 20;
const EQUAL_SECONDS_AIM = 30;

/** Writes to one host as long as it runs, and remembers what was acknowledged. */
class Writer {
  readonly acknowledged: string[] = [];
  readonly #host: Host;
  #isWanted = true;
  readonly #done: Promise<void>;

  constructor(host: Host) {
    this.#host = host;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    for (let n = 0; this.#isWanted; n += 1) {
      const id = `${this.#host.name}-${n}`;
      try {
        await this.#host.node.api.put("tracks", id, { n });
        this.acknowledged.push(id);
      } catch {
        // It is being restarted: what was not acknowledged may be there or not.
      }
      await Bun.sleep(PAUSE_MS);
    }
  }

  async stop(): Promise<void> {
    this.#isWanted = false;
    await this.#done;
  }
}

/** Tags of the secret by which each node knows each peer, all together; of links that just change there are none. */
async function tagsOf(lab: Lab): Promise<Set<string>> {
  return await waitFor("every peer to have a tag", 60_000, async () => {
    const lists = await Promise.all(lab.nodes.map((node) => node.api.peers()));
    const tags = lists.flat().flatMap((peer) => peer.secret_tag ?? []);
    return tags.length === lists.flat().length ? new Set(tags) : undefined;
  });
}

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const hosts = isFull ? ["a", "b", "c", "d", "e"] : ["a", "b", "c"];
  await using lab = await Lab.open({ executable, hosts });
  const fresh = join(lab.folder, "new-secret");
  await writeFile(fresh, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const old = lab.secretFile;
  const steps = [
    { PEAT_FORMATION_SECRET_FILE: old, PEAT_FORMATION_SECRET_ALSO_FILE: fresh },
    { PEAT_FORMATION_SECRET_FILE: fresh, PEAT_FORMATION_SECRET_ALSO_FILE: old },
    { PEAT_FORMATION_SECRET_FILE: fresh },
  ];
  await lab.startAll();
  const before = await tagsOf(lab);
  const writers = lab.hosts.map((host) => new Writer(host));
  let slowestMs = 0;
  for (const [step, settings] of steps.entries()) {
    for (const host of lab.hosts) {
      await host.stop();
      await host.start(settings);
      await host.node.ready();
      const sinceMs = performance.now();
      await lab.connected(60_000);
      slowestMs = Math.max(slowestMs, performance.now() - sinceMs);
    }
    told(`step ${step + 1}: all restarted, every two connected after each restart`);
  }
  await Promise.all(writers.map((writer) => writer.stop()));
  const acknowledged = writers.flatMap((writer) => writer.acknowledged);
  const equalMs = await settled(lab, 60_000);
  let lost = 0;
  for (const node of lab.nodes) {
    const there = new Set<unknown>();
    for await (const document of node.api.list("tracks")) there.add(document["_id"]);
    lost += acknowledged.filter((id) => !there.has(id)).length;
  }
  const after = await tagsOf(lab);
  const isRolled = before.size === 1 && after.size === 1 && [...before][0] !== [...after][0];
  return [
    { what: "acknowledged writes", value: acknowledged.length, unit: "" },
    { what: "of them lost, on all nodes together", value: lost, unit: "", most: 0 },
    {
      what: "every two nodes connected after a restart was ready, at the latest",
      value: slowestMs / 1_000,
      unit: "s",
      aim: MEET_SECONDS_AIM,
    },
    {
      what: "equal after the last write",
      value: equalMs / 1_000,
      unit: "s",
      aim: EQUAL_SECONDS_AIM,
    },
    {
      what: "nodes known by another secret than the new one",
      value: isRolled ? 0 : 1,
      unit: "",
      most: 0,
    },
  ];
}

/** However many documents there are. */
async function settled(lab: Lab, limitMs: number): Promise<number> {
  const sinceMs = performance.now();
  await waitFor("equal documents", limitMs, async () => {
    const all = await Promise.all(lab.nodes.map((node) => node.api.summary()));
    return new Set(all.map((summary) => summary.root_hash)).size === 1 || undefined;
  });
  return performance.now() - sinceMs;
}

export const ROLL_OVER: Scenario = { name: "roll-over of the secret", run };
