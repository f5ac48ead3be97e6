// A thousand hostile connections against the compiled executable; ten thousand by `bun scripts/hostile.ts`.
import { beforeAll, expect, test } from "bun:test";
import { SILENCE } from "../../scripts/hostile/attacks.ts";
import { KEPT_MB_MAX, printResult, runLoad } from "../../scripts/hostile/load.ts";
import { Victim } from "../../scripts/hostile/victim.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";

const CONNECTIONS = 1000;

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
  // Each that comes later takes the place of an older one: nobody is turned away at the door, and none stays.
  expect(silence.refused).toBeLessThan(silence.connections / 10);
  expect(result.visibleMs.during.length).toBeGreaterThan(100);
  expect(result.residentMb.after - result.residentMb.before).toBeLessThan(KEPT_MB_MAX);
  const refusals = result.logLines.filter((line) => line.includes("Connection refused"));
  expect(refusals.length).toBeGreaterThan(0);
  // One in ten seconds, however many are refused.
  const seconds = result.phases.reduce((sum, phase) => sum + phase.seconds, 0);
  expect(result.logLines.length).toBeLessThanOrEqual(2 + seconds / 10);
  // An endpoint that comes again may have found the way by ::1.
  for (const line of refusals) expect(line).toMatch(/address=(?:127\.0\.1\.\d+|0:0:0:0::\/64) /);
}, 480_000);
