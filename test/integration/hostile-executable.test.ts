// A thousand hostile connections against the compiled executable; ten thousand by `bun scripts/hostile.ts`.
import { beforeAll, expect, test } from "bun:test";
import { SILENCE } from "../../scripts/hostile/attacks.ts";
import { printResult, runLoad } from "../../scripts/hostile/load.ts";
import { Victim } from "../../scripts/hostile/victim.ts";
import { findAddon, hostTarget } from "../../scripts/support/build-targets.ts";
import { ensureExecutable, meshNodePath } from "../../scripts/support/executable.ts";

const CONNECTIONS = 1000;
const KEPT_MB_MAX = 10;

beforeAll(async () => {
  const addon = await findAddon(hostTarget());
  if (typeof addon === "string") throw new Error(addon);
  await ensureExecutable(addon);
}, 120_000);

test("a thousand hostile connections leave neither memory taken nor the log flooded", async () => {
  await using victim = await Victim.start(meshNodePath);
  const result = await runLoad({ victim, connections: CONNECTIONS, told: () => undefined });
  // How long a good peer's writes take during it is for the reader: machines differ, and so does their load.
  console.log(printResult(result));
  expect(result.connections).toBe(CONNECTIONS);
  const silence = result.phases.find(({ attack }) => attack === SILENCE);
  // Each that comes later takes the place of an older one: nobody is turned away at the door, and none stays.
  expect(silence?.refused).toBe(0);
  expect(result.visibleMs.during.length).toBeGreaterThan(100);
  expect(result.residentMb.after - result.residentMb.before).toBeLessThan(KEPT_MB_MAX);
  expect(result.logLines.length).toBeGreaterThan(0);
  expect(result.logLines.length).toBeLessThan(10);
  for (const line of result.logLines) expect(line).toContain("Connection refused address=127.0.1.");
}, 240_000);
