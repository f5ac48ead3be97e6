// A thousand hostile connections against the compiled executable; ten thousand by `bun scripts/hostile.ts`.
import { beforeAll, expect, test } from "bun:test";
import { SILENCE } from "../../scripts/hostile/attacks.ts";
import { printResult, runLoad } from "../../scripts/hostile/load.ts";
import { Victim } from "../../scripts/hostile/victim.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";

const CONNECTIONS = 1000;
const KEPT_MB_MAX = 10;

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

test("a thousand hostile connections leave neither memory taken nor the log flooded", async () => {
  await using victim = await Victim.start(meshNodePath);
  const result = await runLoad({ victim, connections: CONNECTIONS, told: () => undefined });
  // How long a good peer's writes take during it is for the reader: machines differ, and so does their load.
  console.log(printResult(result));
  expect(result.connections).toBe(CONNECTIONS);
  const silence = result.phases.find(({ attack }) => attack === SILENCE);
  if (silence === undefined) throw new Error("nobody was silent");
  // Each that comes later takes the place of an older one: nobody is turned away at the door, and none stays. Some of
  // them come by ::1, though each has an address of 127.0.1.0/24: on a busy machine more than may come from one.
  expect(silence.refused).toBeLessThan(silence.connections / 10);
  expect(result.visibleMs.during.length).toBeGreaterThan(100);
  expect(result.residentMb.after - result.residentMb.before).toBeLessThan(KEPT_MB_MAX);
  expect(result.logLines.length).toBeGreaterThan(0);
  expect(result.logLines.length).toBeLessThan(10);
  for (const line of result.logLines) expect(line).toContain("Connection refused address=127.0.1.");
}, 240_000);
