// The routes that explain, on real listeners: who may ask, what is refused, and two nodes over real Iroh that tell each
// other what they have.
import { expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { systemClock } from "../../src/base/clock.ts";
import { Explainer } from "../../src/diagnosis/explainer.ts";
import { Partings } from "../../src/diagnosis/partings.ts";
import { NodeStatus } from "../../src/node-status.ts";
import { key } from "../support/memory-store.ts";
import { startBroker, TOKEN } from "../support/start-broker.ts";
import { randomSecret, TestNode } from "../support/start-node.ts";

const LIMIT_MS = 20_000;
const VERSION = "0.1.0-test";

function explainerOf({ name, store, coordinator }: TestNode): Explainer {
  const about = { nodeName: name, version: VERSION, clock: systemClock, store, coordinator };
  const partings = new Partings(systemClock, (listener) => void coordinator.onPeer(listener));
  const status = new NodeStatus({ ...about, partings });
  return new Explainer({ ...about, status, secretTag: "00112233", partings });
}

test("two nodes tell each other what they have, alive and deleted", async () => {
  const secrets = [randomSecret()];
  await using a = await TestNode.start({ name: "a", secrets });
  await using b = await TestNode.start({ name: "b", secrets });
  const explainer = explainerOf(a);
  a.seek(b);
  await a.put("tracks:1", { x: 1 });
  const same = await waitFor("the same on both", LIMIT_MS, async () => {
    const explained = await explainer.explain(key("tracks:1"), 2_000);
    return explained.peers.length === 1 && explained.verdict === "equal" ? explained : undefined;
  });
  expect(same.peers[0]).toMatchObject({ id: "b", connected: true, standing: { kind: "alive" } });
  expect(same.writers).toEqual(["a"]);
  expect(Math.abs(same.peers[0]?.clockAheadMs ?? 9_999)).toBeLessThan(5_000);
  await b.remove("tracks:1");
  const gone = await waitFor("deleted on both", LIMIT_MS, async () => {
    const explained = await explainer.explain(key("tracks:1"), 2_000);
    const isGone = explained.here.kind === "deleted" && explained.verdict === "equal";
    return isGone ? explained : undefined;
  });
  expect(gone.causes).toMatchObject([{ code: "deleted", peer: null }]);
  expect(gone.message).toContain("deleted by b");
}, 60_000);

test("a peer that stops its sync says so to who dials it", async () => {
  const secrets = [randomSecret()];
  await using a = await TestNode.start({ name: "a", secrets });
  await using b = await TestNode.start({ name: "b", secrets });
  const explainer = explainerOf(a);
  a.seek(b);
  await waitFor("the connection", LIMIT_MS, () => a.coordinator.sessions.length === 1 || undefined);
  b.coordinator.orders.stopSync();
  const codesOf = async () =>
    (await explainer.explain(key("tracks:1"), 2_000)).causes.map(({ code }) => code);
  await waitFor("the reason", LIMIT_MS, async () =>
    (await codesOf()).join() === "sync_stopped" ? true : undefined,
  );
  const findings = await explainer.examine(2_000);
  expect(findings.filter(({ group }) => group === "peers")).toMatchObject([
    { code: "sync_stopped", message: "sync is stopped on b" },
  ]);
  b.coordinator.orders.startSync();
  await waitFor("the connection again", LIMIT_MS, async () =>
    (await codesOf()).length === 0 ? true : undefined,
  );
}, 90_000);

test("sixteen may ask at a time; the seventeenth is told to come again", async () => {
  await using a = await TestNode.start({ name: "a", secrets: [randomSecret()] });
  const explainer = explainerOf(a);
  const asked = Array.from({ length: 17 }, () => explainer.explain(key("tracks:1"), 100));
  const results = await Promise.allSettled(asked);
  const refused = results.filter(({ status }) => status === "rejected");
  expect(refused).toMatchObject([{ reason: { code: "overloaded" } }]);
});

test("reads follow the rule of reads, doctor always needs the token, and names are checked", async () => {
  const diagnostics = {
    explain: () => Promise.reject(new Error("not to be reached")),
    examine: async () => [],
  };
  await using world = await startBroker({ diagnostics, access: { reads: "open", open: "none" } });
  const headers = { authorization: `Bearer ${TOKEN}` };
  expect((await world.ask("/doctor")).status).toBe(401);
  expect(await world.ask("/doctor", { headers })).toMatchObject({
    status: 200,
    text: '{"findings":[]}',
  });
  for (const path of ["/explain/a b/1", "/explain/tracks/%00", "/explain/tracks/%ff"]) {
    expect((await world.ask(path)).status, path).toBe(400);
  }
  await using closed = await startBroker({ diagnostics, access: { reads: "token", open: "none" } });
  expect((await closed.ask("/explain/tracks/1")).status).toBe(401);
});
