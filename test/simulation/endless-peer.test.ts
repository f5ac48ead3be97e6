// A member that says again and again that it has much more, and sends none of it: nobody may wait for it for ever.
import { expect, test } from "bun:test";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import { parseNodeName, toEndpointId } from "../../src/identity/peer.ts";
import { greet } from "../../src/net/membership.ts";
import { ALPN_NATIVE } from "../../src/wire/hello.ts";
import { encodeNative, type NativeMessage } from "../../src/wire/native.ts";
import { PORT } from "./node.ts";
import { World } from "./world.ts";

const SUM = "ab".repeat(16);

/** Says once that it has a million documents, and then that more follows; `isRepeating`: begins anew every 200 s. */
async function world(isRepeating: boolean) {
  const it = new World({ seed: 1, nodes: ["a", "b"] });
  const [a, b] = [it.node("a"), it.node("b")];
  await it.settled();
  it.cut("a", "b");
  await it.clock.advance(20_000);
  for (let n = 0; n < 50; n += 1) it.write(b, `tracks:${n}`, { kind: "put", body: { n } });
  await it.clock.advance(1_000);
  const formation = new Formation([new Secret(new Uint8Array(32).fill(7))]);
  const name = parseNodeName("mallory");
  const id = toEndpointId(formation.endpointKey(name).publicKey);
  const own = it.net.open({ id, address: "10.0.9.9:1", alpns: [ALPN_NATIVE] });
  let isUp = false;
  void (async () => {
    const link = await own.dial({ id: a.id, addresses: [`${a.host}:${PORT}`] }, ALPN_NATIVE);
    const { fingerprint: policies } = a.store.policies;
    const hello = { name, version: "x", start: "cd".repeat(16), policies, features: 0 };
    const { stream } = await greet(link, hello, { formation, clock: it.clock });
    void (async () => {
      while ((await stream.read(65_536)) !== undefined);
    })().catch(() => undefined);
    const horizon = a.store.horizon;
    const say = (...messages: NativeMessage[]) =>
      stream.write(Buffer.concat(messages.map((message) => encodeNative(message))));
    const greedy: NativeMessage = {
      type: "sums",
      horizon,
      entries: [{ depth: 0, index: 0, count: 1_000_000, sum: SUM }],
    };
    const notNow: NativeMessage = { type: "agreed", horizon, count: 7, sum: SUM };
    await say({ type: "memory", metAt: 0, forgottenAt: 0 }, greedy);
    isUp = true;
    for (let serial = 0; ; serial += 1) {
      await new Promise<void>((resolve) => it.clock.after(2_000, resolve));
      await say({ type: "states", serial, more: true, isEntrusted: false, entries: [] });
      if (isRepeating && serial % 100 === 99) {
        const last = {
          type: "states",
          serial,
          more: false,
          isEntrusted: false,
          entries: [],
        } as const;
        await say(last, notNow, greedy);
      }
    }
  })().catch(() => undefined);
  await it.clock.advanceUntil(() => isUp, 10_000);
  it.heal("a", "b");
  return { it, a };
}

// Those that others do not wait behind at all are let in at once; who begins anew each 200 s has its time, and no more.
test.each([
  [false, 180_000],
  [true, 400_000],
] as const)(
  "others are heard all the same (begins anew: %p)",
  async (isRepeating, limitMs) => {
    const { it, a } = await world(isRepeating);
    await using _ = it;
    const has = () => a.get("tracks:49") !== undefined;
    expect(await it.clock.advanceUntil(has, limitMs, 1_000)).toBe(true);
  },
  60_000,
);
