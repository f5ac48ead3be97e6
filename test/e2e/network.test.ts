// The compiled executable over bad networks, as short as still proves something; the full lengths by
// `bun run network`.
import { beforeAll, describe, expect, test } from "bun:test";
import { ADDRESS_CHANGE } from "../../scripts/network/address-change.ts";
import { FLAPS } from "../../scripts/network/flaps.ts";
import { MUTE_PEER } from "../../scripts/network/mute-peer.ts";
import { PARTITION } from "../../scripts/network/partition.ts";
import { ROLL_OVER } from "../../scripts/network/roll-over.ts";
import { isGood } from "../../scripts/network/scenario.ts";
import { SILENCE } from "../../scripts/network/silence.ts";
import { SLOW_LINK } from "../../scripts/network/slow-link.ts";
import { URGENT } from "../../scripts/network/urgent.ts";
import { findAddon, hostTarget } from "../../scripts/support/build-targets.ts";
import { ensureExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { namespacesMissing } from "../support/namespace.ts";

const missing = namespacesMissing();

beforeAll(async () => {
  const addon = await findAddon(hostTarget());
  if (typeof addon === "string") throw new Error(addon);
  await ensureExecutable(addon);
}, 120_000);

test("members that read nothing cost bounded memory", async () => {
  const figures = await MUTE_PEER.run({
    executable: meshNodePath,
    isFull: false,
    told: () => undefined,
  });
  expect(figures.filter((figure) => !isGood(figure))).toEqual([]);
}, 120_000);

describe.skipIf(missing !== undefined)(`in network namespaces (${missing ?? "root"})`, () => {
  test.each(
    [PARTITION, SLOW_LINK, URGENT, FLAPS, ADDRESS_CHANGE, ROLL_OVER, SILENCE].map(
      (s) => [s.name, s] as const,
    ),
  )(
    "a formation stands: %s",
    async (_name, { run }) => {
      const figures = await run({ executable: meshNodePath, isFull: false, told: () => undefined });
      expect(figures.length).toBeGreaterThan(0);
      expect(figures.filter((figure) => !isGood(figure))).toEqual([]);
    },
    300_000,
  );
});
