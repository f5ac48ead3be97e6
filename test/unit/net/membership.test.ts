// The hello in, the hello out, the verdict: over links of memory, so that every moment can be chosen.
import { describe, expect, test } from "bun:test";
import { helloFrame } from "../../../scripts/hostile/stranger.ts";
import { Random } from "../../../scripts/model/random.ts";
import { Formation } from "../../../src/identity/formation.ts";
import { parseNodeName, toEndpointId } from "../../../src/identity/peer.ts";
import type { ByteStream, Link } from "../../../src/net/link.ts";
import { greet } from "../../../src/net/membership.ts";
import { ALPN_NATIVE, HELLO_BYTES_MAX, type Hello } from "../../../src/wire/hello.ts";
import { MemoryNet } from "../../support/memory-network.ts";
import { randomSecret } from "../../support/start-node.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const secret = randomSecret();
const formation = new Formation([secret]);
const helloOf = (name: string): Hello => ({
  name,
  version: "0.1.0",
  start: "1".repeat(32),
  policies: "0".repeat(32),
  features: 0,
});

/** Two ends of one link: `dialled` belongs to node-a, `dialling` to whoever has the endpoint of `name`. */
async function connected(name = "node-b") {
  const clock = new VirtualClock();
  const net = new MemoryNet({ clock, random: new Random(1) });
  const idOf = (of: string) => toEndpointId(formation.endpointKey(parseNodeName(of)).publicKey);
  const a = net.open({ id: idOf("node-a"), address: "10.0.0.1:1", alpns: [ALPN_NATIVE] });
  const b = net.open({ id: idOf(name), address: "10.0.0.2:1", alpns: [ALPN_NATIVE] });
  const dial = b.dial({ id: a.id, addresses: ["10.0.0.1:1"] }, ALPN_NATIVE);
  const accept = a.nextIncoming().then((incoming) => incoming?.accept());
  await clock.advance(100);
  const [dialling, dialled] = await Promise.all([dial, accept]);
  if (dialled === undefined) throw new Error("nobody arrived");
  return { clock, dialling, dialled };
}

/** How greeting ended: the peer's name, or the reason of the refusal. */
function outcomeOf(link: Link, clock: VirtualClock, own = "node-a"): Promise<string> {
  return greet(link, helloOf(own), { formation, clock }).then(
    ({ name }) => `member ${name}`,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

/** What node-a makes of a stranger that does `act` on the stream it opened. */
async function verdictOn(act: (stream: ByteStream) => Promise<void>, name = "node-b") {
  const { clock, dialling, dialled } = await connected(name);
  const verdict = outcomeOf(dialled, clock);
  const stream = await dialling.openStream();
  await act(stream);
  await clock.advance(10_100);
  return { verdict: await verdict, end: await dialling.ended };
}

test("two members know each other by name and secret", async () => {
  const { clock, dialling, dialled } = await connected();
  const both = Promise.all([
    greet(dialled, helloOf("node-a"), { formation, clock }),
    greet(dialling, helloOf("node-b"), { formation, clock }),
  ]);
  await clock.advance(100);
  const [ours, theirs] = await both;
  expect([ours.name, theirs.name] as string[]).toEqual(["node-b", "node-a"]);
  expect([ours.tag, theirs.tag]).toEqual([formation.ownTag, formation.ownTag]);
});

describe("refused with code 1 is a stranger that", () => {
  const refused = { by: "peer", code: 1, reason: "formation auth failed" };

  test("says nothing for ten seconds", async () => {
    const { clock, dialling, dialled } = await connected();
    const verdict = outcomeOf(dialled, clock);
    await clock.advance(9_900);
    let isOver = false;
    void dialling.ended.then(() => {
      isOver = true;
    });
    await clock.advance(0);
    expect(isOver).toBe(false);
    await clock.advance(200);
    expect(await verdict).toBe("said nothing for 10 s");
    expect(await dialling.ended).toMatchObject(refused);
  });

  test("says it too slowly", async () => {
    const { clock, dialling, dialled } = await connected();
    const verdict = outcomeOf(dialled, clock);
    const stream = await dialling.openStream();
    for (const byte of helloFrame("node-b")) {
      await stream.write(Uint8Array.of(byte)).catch(() => undefined);
      await clock.advance(200);
    }
    expect(await verdict).toBe("said nothing for 10 s");
  });

  test.each([
    ["speaks HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
    ["has a key in its frame", Uint8Array.of(0, 1, 0x20, 0, 0, 0, 0)],
    ["begins with another frame", Uint8Array.of(0, 0, 0x21, 0, 0, 0, 7)],
    ["announces too long a hello", Uint8Array.of(0, 0, 0x20, 0, 0, 4, 1)],
    ["announces four gigabytes", Uint8Array.of(0, 0, 0x20, 255, 255, 255, 255)],
  ])("%s", async (_, bytes) => {
    const { verdict, end } = await verdictOn((stream) => stream.write(bytes));
    expect(verdict).toBe("began with something else than a hello");
    expect(end).toMatchObject(refused);
  });

  test("leaves in the middle of its hello", async () => {
    const hello = helloFrame("node-b");
    for (const length of [3, 7, 20, hello.length - 1]) {
      const { verdict, end } = await verdictOn(async (stream) => {
        await stream.write(hello.subarray(0, length));
        await stream.finish();
      });
      expect(verdict).toBe("left in the middle of its hello");
      expect(end).toMatchObject(refused);
    }
  });

  test("calls itself what its id does not derive from", async () => {
    const { verdict, end } = await verdictOn((stream) => stream.write(helloFrame("node-c")));
    expect(verdict).toBe("calls itself node-c, but its id is of another secret");
    expect(end).toMatchObject(refused);
  });

  test.each(["", "a b", "a\nb", "ä", "n".repeat(254)])("calls itself %j", async (name) => {
    const { verdict, end } = await verdictOn((stream) => stream.write(helloFrame(name)));
    expect(verdict).toContain("node name");
    expect(verdict).not.toContain("\n");
    expect(end).toMatchObject(refused);
  });

  test("fills its hello with what is none", async () => {
    const payload = new Uint8Array(HELLO_BYTES_MAX).fill(0xff);
    const { verdict } = await verdictOn(async (stream) => {
      await stream.write(Uint8Array.of(0, 0, 0x20, 0, 0, 4, 0));
      await stream.write(payload);
    });
    expect(verdict).toContain("expected");
  });

  test("leaves without a word", async () => {
    const { clock, dialling, dialled } = await connected();
    const verdict = outcomeOf(dialled, clock);
    dialling.close(0, "");
    await clock.advance(100);
    expect(await verdict).toBe("left without a word");
  });
});

test("a peer that we dialled and that answers by another name is no member", async () => {
  const { clock, dialling, dialled } = await connected();
  const verdict = outcomeOf(dialling, clock, "node-b");
  const accepted = dialled.acceptStream();
  await clock.advance(100);
  await (await accepted)?.write(helloFrame("node-x"));
  await clock.advance(100);
  expect(await verdict).toBe("calls itself node-x, but its id is of another secret");
});

test("nobody but a member hears who we are", async () => {
  const { clock, dialling, dialled } = await connected();
  const verdict = outcomeOf(dialled, clock);
  const stream = await dialling.openStream();
  await stream.write(helloFrame("node-c"));
  const heard = stream.read(1000).then(
    (bytes) => bytes?.length ?? 0,
    () => 0,
  );
  await clock.advance(1000);
  expect(await heard).toBe(0);
  await verdict;
});

test.each(["before", "after"])(
  "a second stream, opened %s the hello, ends the link",
  async (when) => {
    const { clock, dialling, dialled } = await connected();
    const verdict = outcomeOf(dialled, clock);
    const stream = await dialling.openStream();
    const more = async () => (await dialling.openStream()).write(Uint8Array.of(1));
    await stream.write(helloFrame("node-b").subarray(0, 10));
    if (when === "before") await more();
    await clock.advance(100);
    await stream.write(helloFrame("node-b").subarray(10)).catch(() => undefined);
    await clock.advance(100);
    if (when === "after") {
      expect(await verdict).toBe("member node-b");
      await more();
    }
    await clock.advance(100);
    expect(await dialling.ended).toMatchObject({ by: "peer", code: 4 });
    await verdict;
  },
);
