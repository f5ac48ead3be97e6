// Connections that arrive: how many may be unproved at a time, from where, for how long, and what the log says.
import { describe, expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import { parseEndpointId } from "../../../src/identity/peer.ts";
import { Acceptor } from "../../../src/net/acceptor.ts";
import type { IncomingLink, Link } from "../../../src/net/link.ts";
import { ALPN_NATIVE } from "../../../src/wire/hello.ts";
import { type MemoryEndpoint, MemoryNet } from "../../support/memory-network.ts";
import { LogLines } from "../../support/start-node.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const idOf = (n: number) => parseEndpointId(n.toString(16).padStart(64, "0"));

/** A node that admits nobody until it is told to, and as many others as a test wants. */
function world() {
  const clock = new VirtualClock();
  const net = new MemoryNet({ clock, random: new Random(1) });
  const node = net.open({ id: idOf(1), address: "10.0.0.1:1", alpns: [ALPN_NATIVE] });
  const arrived: { link: Link; prove: () => void; refuse: (reason: string) => void }[] = [];
  const acceptor = new Acceptor({
    network: node,
    clock,
    arrived: (link) =>
      new Promise((resolve, reject) => {
        arrived.push({ link, prove: resolve, refuse: (reason) => reject(new Error(reason)) });
      }),
  });
  void acceptor.run();
  let count = 1;
  const connect = (host: string): { from: MemoryEndpoint; outcome: Promise<string> } => {
    count += 1;
    const address = `${host}:${count}`;
    const from = net.open({ id: idOf(count), address, alpns: [ALPN_NATIVE] });
    const dial = from.dial({ id: node.id, addresses: ["10.0.0.1:1"] }, ALPN_NATIVE);
    const outcome = dial.then(
      () => "let in",
      (error: unknown) => String(error),
    );
    return { from, outcome };
  };
  return { clock, net, node, acceptor, arrived, connect };
}

test("eight unproved connections of one address are let in, the ninth is refused", async () => {
  const { clock, arrived, connect, acceptor } = world();
  const dials = Array.from({ length: 9 }, () => connect("10.0.0.2"));
  await clock.advance(100);
  expect(arrived.length).toBe(8);
  expect(await dials[8]?.outcome).toContain("connection refused");
  expect(acceptor.refused).toBe(1);
  // Another address is not concerned.
  connect("10.0.0.3");
  await clock.advance(100);
  expect(arrived.length).toBe(9);
});

describe("64 unproved connections are inside; the next one", () => {
  /** Those of `hosts`, `each` of every one, and then one of another address. */
  async function crowd(hosts: number, each: number) {
    const it = world();
    const first = it.connect("10.0.2.1");
    await it.clock.advance(100);
    for (let n = 0; n < hosts * each; n += 1) it.connect(`10.0.1.${n % hosts}`);
    await it.clock.advance(100);
    const ends: string[] = [];
    for (const { link } of it.arrived) {
      void link.ended.then(() => ends.push(it.net.addressOf(link.remoteId)));
    }
    const inside = it.arrived.length;
    it.connect("10.0.2.2");
    await it.clock.advance(100);
    return { ...it, first, ends, inside };
  }

  test("takes the place of the oldest of the address that has most", async () => {
    const { arrived, ends, inside } = await crowd(9, 7);
    expect(inside).toBe(64);
    expect(arrived.length).toBe(65);
    expect(ends.map((address) => address.replace(/:\d+$/, ""))).toEqual(["10.0.1.0"]);
  });

  test("takes that of the oldest of all where no address has more than one", async () => {
    const { arrived, ends, inside } = await crowd(63, 1);
    expect(inside).toBe(64);
    expect(arrived.length).toBe(65);
    expect(ends.map((address) => address.replace(/:\d+$/, ""))).toEqual(["10.0.2.1"]);
  });

  test("leaves 64 again, who lost its place is counted as refused, and proves nothing any more", async () => {
    using log = new LogLines();
    const { acceptor, arrived, clock, connect } = await crowd(63, 1);
    arrived[0]?.refuse("left without a word");
    await clock.advance(0);
    expect(acceptor.refused).toBe(1);
    expect(log.with("Connection refused", "lost its place to a newer connection").length).toBe(1);
    connect("10.0.2.3");
    await clock.advance(100);
    expect(arrived.length).toBe(66);
  });
});

describe("an address that nobody has shown to hear us", () => {
  const retriesOf = (it: ReturnType<typeof world>) => it.node.retries;

  test("is taken at its word while few are inside", async () => {
    const it = world();
    for (let n = 0; n < 16; n += 1) it.connect(`10.0.1.${n}`);
    await it.clock.advance(100);
    expect(it.arrived.length).toBe(16);
    expect(retriesOf(it)).toBe(0);
  });

  test("has to come again from the 17th connection on, or the fifth of one address", async () => {
    const many = world();
    for (let n = 0; n < 20; n += 1) many.connect(`10.0.1.${n}`);
    await many.clock.advance(100);
    expect(many.arrived.length).toBe(20);
    expect(retriesOf(many)).toBe(4);

    const one = world();
    for (let n = 0; n < 6; n += 1) one.connect("10.0.1.1");
    await one.clock.advance(100);
    expect(one.arrived.length).toBe(6);
    expect(retriesOf(one)).toBe(2);
  });
});

test.each(["proved", "refused"])("a connection that is %s makes room for another", async (how) => {
  const { clock, arrived, connect } = world();
  for (let n = 0; n < 8; n += 1) connect("10.0.0.2");
  await clock.advance(100);
  if (how === "proved") arrived[0]?.prove();
  else arrived[0]?.refuse("no hello");
  connect("10.0.0.2");
  connect("10.0.0.2");
  await clock.advance(100);
  expect(arrived.length).toBe(9);
});

test("ports don't count, nor do the addresses within one IPv6 network", async () => {
  const { clock, arrived, connect } = world();
  for (let n = 0; n < 10; n += 1) connect(`[fd00::${n + 1}]`);
  await clock.advance(100);
  expect(arrived.length).toBe(8);
});

test("refusals are told at most every ten seconds, with their number and the reason of the last", async () => {
  using log = new LogLines();
  const { clock, arrived, connect } = world();
  for (let n = 0; n < 90; n += 1) {
    connect("10.0.0.2");
    await clock.advance(333);
    arrived.at(-1)?.refuse("began with something else than a hello");
  }
  const lines = log.with("Connection refused");
  expect(lines.length).toBe(3);
  expect(lines[0]).toContain(
    "address=10.0.0.2 cause=began with something else than a hello refused_so_far=1",
  );
  expect(lines[2]).toContain("refused_so_far=63");
});

describe("an address that fails to prove itself", () => {
  /** Attempts of one address, `everyMs`, each refused; returns how many were greeted at all. */
  async function greeted(attempts: number, everyMs: number): Promise<number> {
    const { clock, arrived, connect } = world();
    for (let n = 0; n < attempts; n += 1) {
      const before = arrived.length;
      connect("10.0.0.2");
      await clock.advance(everyMs);
      if (arrived.length > before) arrived.at(-1)?.refuse("no hello");
    }
    return arrived.length;
  }

  test("again and again is refused at the door after the 32nd time", async () => {
    expect(await greeted(200, 15)).toBeLessThan(32 + 4 * 4);
    expect(await greeted(200, 15)).toBeGreaterThanOrEqual(32);
  });

  test("less than four times a second is heard every time", async () => {
    expect(await greeted(100, 260)).toBe(100);
  });

  test("takes nothing from others, and is forgiven in time", async () => {
    using log = new LogLines();
    const { clock, arrived, connect } = world();
    for (let n = 0; n < 40; n += 1) {
      connect("10.0.0.2");
      await clock.advance(15);
      arrived.at(-1)?.refuse("no hello");
    }
    const before = arrived.length;
    connect("10.0.0.3");
    await clock.advance(15);
    expect(arrived.length).toBe(before + 1);
    await clock.advance(10_000);
    connect("10.0.0.2");
    await clock.advance(15);
    expect(arrived.length).toBe(before + 2);
    connect("10.0.0.2");
    expect(log.with("Connection refused").length).toBe(1);
  });

  test("but a member that comes back often is let in every time", async () => {
    const { clock, arrived, connect } = world();
    for (let n = 0; n < 200; n += 1) {
      connect("10.0.0.2");
      await clock.advance(15);
      arrived.at(-1)?.prove();
      await clock.advance(0);
    }
    expect(arrived.length).toBe(200);
  });
});

describe("strangers from many addresses", () => {
  test("are greeted a hundred times a second together, and members come and go meanwhile", async () => {
    const { clock, arrived, connect } = world();
    connect("10.0.0.3");
    await clock.advance(15);
    arrived[0]?.prove();
    let greeted = 0;
    let members = 0;
    for (let n = 0; n < 1000; n += 1) {
      const before = arrived.length;
      const isMember = n % 100 === 99;
      connect(isMember ? "10.0.0.3" : `10.0.1.${n % 250}`);
      await clock.advance(15);
      if (arrived.length === before) continue;
      if (isMember) members += 1;
      else greeted += 1;
      if (isMember) arrived.at(-1)?.prove();
      else arrived.at(-1)?.refuse("no hello");
    }
    expect(members).toBe(10);
    // 66 a second: every one of them.
    expect(greeted).toBe(990);
  });

  test("are refused at the door beyond that, and a member's address is not", async () => {
    const { clock, arrived, connect } = world();
    connect("10.0.0.3");
    await clock.advance(15);
    arrived[0]?.prove();
    await clock.advance(0);
    // Eight and eight at the same moment, as often as places are free.
    for (let n = 0; n < 40; n += 1) {
      const before = arrived.length;
      for (let k = 0; k < 8; k += 1) connect(`10.0.2.${(n * 8 + k) % 250}`);
      await clock.advance(10);
      for (const { refuse } of arrived.slice(before)) refuse("no hello");
      await clock.advance(0);
    }
    // 320 came within 0.4 s.
    expect(arrived.length - 1).toBeGreaterThanOrEqual(100);
    expect(arrived.length - 1).toBeLessThan(160);
    const before = arrived.length;
    connect("10.0.0.3");
    await clock.advance(15);
    expect(arrived.length).toBe(before + 1);
  });
});

describe("a handshake that takes too long", () => {
  /** A connection whose handshake ends when the test says so. */
  function slowWorld() {
    const clock = new VirtualClock();
    let finish: (link: Link) => void = () => undefined;
    const incoming: IncomingLink = {
      remoteAddress: "10.0.0.2:5",
      isHeard: false,
      accept: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
      refuse: async () => undefined,
      retry: async () => undefined,
    };
    const waiting = [incoming];
    const net = new MemoryNet({ clock, random: new Random(1) });
    const node = net.open({ id: idOf(1), address: "10.0.0.1:1", alpns: [ALPN_NATIVE] });
    const peer = net.open({ id: idOf(2), address: "10.0.0.2:5", alpns: [ALPN_NATIVE] });
    const arrived: Link[] = [];
    const network = {
      id: node.id,
      hasRelay: false,
      boundAddresses: node.boundAddresses,
      dial: () => Promise.reject(new Error("it only listens")),
      nextIncoming: async () => waiting.shift() ?? (await node.nextIncoming()),
      close: () => node.close(),
    };
    const acceptor = new Acceptor({
      network,
      clock,
      arrived: async (link) => void arrived.push(link),
    });
    void acceptor.run();
    return { clock, peer, node, arrived, acceptor, finish: (link: Link) => finish(link) };
  }

  test("is given up after ten seconds, and closed if it ends after all", async () => {
    const { clock, peer, node, arrived, acceptor, finish } = slowWorld();
    await clock.advance(10_001);
    expect(acceptor.refused).toBe(1);
    const dial = peer.dial({ id: node.id, addresses: ["10.0.0.1:1"] }, ALPN_NATIVE);
    await clock.advance(100);
    const late = await dial;
    arrived.length = 0;
    finish(late);
    await clock.advance(100);
    expect(arrived).toEqual([]);
    expect(await late.ended).toMatchObject({ by: "us", code: 1 });
  });
});

test("once closed it refuses all", async () => {
  const { clock, acceptor, arrived, connect } = world();
  acceptor.close();
  const { outcome } = connect("10.0.0.2");
  await clock.advance(100);
  expect(await outcome).toContain("connection refused");
  expect(arrived).toEqual([]);
});
