// A real Iroh relay between two hosts of the compiled executable that can't reach each other.
import { beforeAll, describe, expect, test } from "bun:test";
import type { Seat } from "../../scripts/network/seat.ts";
import type { Peer } from "../../scripts/support/broker-api.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { findIrohRelay } from "../../scripts/support/iroh-relay.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { namespacesMissing } from "../support/namespace.ts";
import { RelayLab } from "../support/relay-lab.ts";

const found = await findIrohRelay();
const relay = "path" in found ? found.path : "";
const missing = namespacesMissing() ?? ("missing" in found ? found.missing : undefined);

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

async function pathOf(seat: Seat, isIt: (peer: Peer) => boolean, limitMs = 60_000): Promise<Peer> {
  return await waitFor(`another path of ${seat.name}`, limitMs, async () =>
    (await seat.node.api.peers()).find(isIt),
  );
}

async function appears(seat: Seat, id: string, limitMs = 60_000): Promise<void> {
  await waitFor(`${id} on ${seat.name}`, limitMs, async () => {
    return (await seat.node.api.get("tracks", id)) !== undefined || undefined;
  });
}

describe.skipIf(missing !== undefined)(
  `two nodes with a relay between them (${missing ?? "root"})`,
  () => {
    test("meet there, and move to a direct path when there is one, and back", async () => {
      await using lab = await RelayLab.open({ executable: meshNodePath, relay });
      const settings = { PEAT_IROH_RELAY_URLS: lab.url };
      await lab.a.start(["b@relay"], settings);
      await lab.b.start([], settings);
      await Promise.all([lab.a.node.ready(), lab.b.node.ready()]);
      const byRelay = await pathOf(lab.a, (peer) => peer.connected && peer.path === "relay");
      expect(byRelay.address).toContain(lab.url);
      await lab.a.node.api.put("tracks", "1", { by: "a" });
      await appears(lab.b, "1");
      expect((await lab.b.node.api.peers()).map((peer) => peer.path)).toEqual(["relay"]);

      lab.connectDirectly();
      for (const seat of [lab.a, lab.b]) {
        const direct = await pathOf(seat, (peer) => peer.connected && peer.path === "direct");
        expect(direct.address).toContain("10.78.3.");
      }
      await lab.b.node.api.put("tracks", "2", { by: "b" });
      await appears(lab.a, "2");
      // It was one connection all the time.
      expect(lab.a.node.lines.filter((line) => line.includes("Peer disconnected"))).toEqual([]);

      lab.disconnect();
      await lab.a.node.api.put("tracks", "3", { by: "a" });
      await appears(lab.b, "3");
      await pathOf(lab.a, (peer) => peer.connected && peer.path === "relay");
    }, 240_000);

    test("don't meet without it", async () => {
      await using lab = await RelayLab.open({ executable: meshNodePath, relay });
      await lab.a.start(["b@10.78.2.2:11204"]);
      await lab.b.start(["a@10.78.1.2:11204"], { PEAT_IROH_RELAY_URLS: lab.url });
      await Promise.all([lab.a.node.ready(), lab.b.node.ready()]);
      await Bun.sleep(10_000);
      expect((await lab.a.node.api.peers()).map((peer) => peer.connected)).toEqual([false]);
      expect((await lab.b.node.api.peers()).map((peer) => peer.connected)).toEqual([false]);
    }, 240_000);
  },
);
