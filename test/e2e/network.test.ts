// The compiled executable over bad networks, as short as still proves something; the full lengths by
// `bun run network`.
import { beforeAll, describe, expect, test } from "bun:test";
import { ADDRESS_CHANGE } from "../../scripts/network/address-change.ts";
import { EDITS } from "../../scripts/network/edits.ts";
import { FLAPS } from "../../scripts/network/flaps.ts";
import { MUTE_PEER } from "../../scripts/network/mute-peer.ts";
import { PARTITION } from "../../scripts/network/partition.ts";
import { ROLL_OVER } from "../../scripts/network/roll-over.ts";
import { isGood } from "../../scripts/network/scenario.ts";
import { SILENCE } from "../../scripts/network/silence.ts";
import { SLOW_LINK } from "../../scripts/network/slow-link.ts";
import { URGENT } from "../../scripts/network/urgent.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { namespacesMissing, wiresMissing } from "../support/namespace.ts";

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

test("members that read nothing cost bounded memory", async () => {
  const figures = await MUTE_PEER.run({
    executable: meshNodePath,
    isFull: false,
    told: () => undefined,
  });
  expect(figures.filter((figure) => !isGood(figure))).toEqual([]);
}, 300_000);

describe.each([
  ["in network namespaces", namespacesMissing(), [PARTITION, FLAPS, ADDRESS_CHANGE, ROLL_OVER]],
  ["on cables", wiresMissing(), [SLOW_LINK, URGENT, EDITS, SILENCE]],
] as const)("%s", (_where, missing, scenarios) => {
  test.skipIf(missing !== undefined).each(scenarios.map((one) => [one.name, one] as const))(
    `a formation stands: %s (${missing ?? "root"})`,
    async (_name, { run }) => {
      const figures = await run({ executable: meshNodePath, isFull: false, told: () => undefined });
      expect(figures.length).toBeGreaterThan(0);
      expect(figures.filter((figure) => !isGood(figure))).toEqual([]);
    },
    300_000,
  );
});
