// Peers that are looked for: dialled for ever, ever less often while in vain, at once when there is news.
import { expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import { Formation } from "../../../src/identity/formation.ts";
import {
  type NodeName,
  type PeerAddress,
  parseEndpointId,
  parseHostPort,
  parseNodeName,
} from "../../../src/identity/peer.ts";
import { Dialer } from "../../../src/net/dialer.ts";
import { NameCollisions } from "../../../src/net/name-collisions.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../../../src/wire/hello.ts";
import { MemoryNet } from "../../support/memory-network.ts";
import { LogLines, randomSecret } from "../../support/start-node.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const secret = randomSecret();
const formation = new Formation([secret]);
const nameA = parseNodeName("node-a");
const nameB = parseNodeName("node-b");
const ADDRESS_B = "10.0.0.2:1";

function idOf(name: NodeName, of = formation) {
  const id = of.endpointIds(name)[0]?.id;
  if (id === undefined) throw new Error("a formation has at least one secret");
  return id;
}

/** Node-a with its dialer, and a net on which others may come up. */
function world(options: { formation?: Formation } = {}) {
  const clock = new VirtualClock();
  const net = new MemoryNet({ clock, random: new Random(1) });
  const network = net.open({ id: idOf(nameA), address: "10.0.0.1:1", alpns: [ALPN_NATIVE] });
  const reachedAt: number[] = [];
  const reachedBy: string[] = [];
  const guest = { waitMs: 0 };
  const moves = { count: 0 };
  /** Ends the connection that there is. */
  let disconnect: (() => void) | undefined;
  const dialer = new Dialer({
    network,
    formation: options.formation ?? formation,
    clock,
    random: () => 0.5,
    ownName: nameA,
    collisions: new NameCollisions(clock),
    reached: async ({ alpn }) => {
      reachedAt.push(clock.monotonic());
      reachedBy.push(alpn);
      disconnect = () => {
        disconnect = undefined;
      };
    },
    guestWaitMs: () => guest.waitMs,
    moved: () => {
      moves.count += 1;
    },
    isConnected: () => disconnect !== undefined,
    disconnected: () =>
      new Promise((resolve) => {
        const before = disconnect;
        if (before === undefined) {
          resolve();
          return;
        }
        disconnect = () => {
          before();
          resolve();
        };
      }),
  });
  const open = (name: NodeName, address: string, alpn = ALPN_NATIVE) => {
    const endpoint = net.open({ id: idOf(name), address, alpns: [alpn] });
    void (async () => {
      for (let next = await endpoint.nextIncoming(); next; next = await endpoint.nextIncoming()) {
        await next.accept();
      }
    })();
    return endpoint;
  };
  const seen = (address = ADDRESS_B, source = "static", name = nameB) => {
    const peer: PeerAddress = {
      identity: { kind: "name", name },
      hosts: [parseHostPort(address)],
    };
    dialer.handle(source, { kind: "seen", peer });
  };
  const gone = (source = "static") =>
    dialer.handle(source, { kind: "gone", identity: { kind: "name", name: nameB } });
  return {
    clock,
    net,
    dialer,
    reachedAt,
    reachedBy,
    guest,
    moves,
    open,
    seen,
    gone,
    disconnect: () => disconnect?.(),
  };
}

test("a peer that is there is reached at once", async () => {
  const { clock, reachedAt, open, seen } = world();
  open(nameB, ADDRESS_B);
  seen();
  await clock.advance(100);
  expect(reachedAt.length).toBe(1);
});

test("a peer that was away for a day is reached within half a minute of its return", async () => {
  const { clock, dialer, reachedAt, open, seen } = world();
  seen();
  await clock.advance(24 * 3600 * 1000);
  const attempts = dialer.sought()[0]?.attempts ?? 0;
  // One attempt in 33 s, each given 3 s.
  expect(attempts).toBeGreaterThan(2000);
  expect(attempts).toBeLessThan(3000);
  expect(dialer.sought()[0]?.lastFailure).toBe("timed out");
  open(nameB, ADDRESS_B);
  await clock.advance(40_000);
  expect(reachedAt.length).toBeGreaterThanOrEqual(1);
  expect(dialer.sought()[0]).toMatchObject({ attempts: 0, lastFailure: undefined });
});

test("a connection that lasted is sought again at once when it is lost", async () => {
  const { clock, reachedAt, open, seen, disconnect } = world();
  open(nameB, ADDRESS_B);
  seen();
  await clock.advance(60_000);
  disconnect();
  await clock.advance(200);
  expect(reachedAt.length).toBe(2);
});

test("a peer that turns us away again and again is asked ever less often", async () => {
  // A second node of one name was turned away ten times a second, with two lines in the log each time.
  const { clock, reachedAt, open, seen, disconnect } = world();
  open(nameB, ADDRESS_B);
  seen();
  for (let ms = 0; ms < 600_000; ms += 50) {
    await clock.advance(50);
    disconnect();
  }
  expect(reachedAt.length).toBeLessThan(40);
  const last = reachedAt.slice(-2);
  expect((last[1] ?? 0) - (last[0] ?? 0)).toBeGreaterThan(29_000);
});

test("a peer that is gone is no longer dialled", async () => {
  const { clock, dialer, reachedAt, open, seen, gone } = world();
  seen();
  await clock.advance(1000);
  gone();
  open(nameB, ADDRESS_B);
  await clock.advance(60_000);
  expect(reachedAt).toEqual([]);
  expect(dialer.sought()).toEqual([]);
});

test("a peer that two sources know is looked for until both have lost it", async () => {
  const { clock, dialer, open, reachedAt, seen, gone } = world();
  seen("10.0.0.9:1", "mdns");
  seen(ADDRESS_B, "static");
  expect(dialer.sought()[0]?.sources).toEqual(["mdns", "static"]);
  gone("mdns");
  open(nameB, ADDRESS_B);
  await clock.advance(10_000);
  expect(reachedAt.length).toBe(1);
});

test("a pod is dialled where Kubernetes has it, and where a list has its name only when it is not there", async () => {
  const { clock, reachedAt, open, seen } = world();
  open(nameB, "10.0.0.3:1");
  seen("10.0.0.3:1", "static");
  seen(ADDRESS_B, "kubernetes");
  await clock.advance(6_000);
  expect(reachedAt).toEqual([]);
  await clock.advance(4_000);
  expect(reachedAt.length).toBe(1);
});

test("a new address is tried at once, not after the wait that the old one has earned", async () => {
  const { clock, open, reachedAt, seen } = world();
  seen("10.0.0.9:1", "mdns");
  await clock.advance(10 * 60_000);
  open(nameB, ADDRESS_B);
  const since = clock.monotonic();
  seen(ADDRESS_B, "mdns");
  await clock.advance(4_000);
  expect(reachedAt.length).toBe(1);
  expect((reachedAt[0] ?? 0) - since).toBeLessThan(3_500);
});

test("a peer without our protocol is a guest for an hour, then ours is tried beside its connection", async () => {
  using log = new LogLines();
  const { clock, reachedBy, open, seen } = world();
  const older = open(nameB, ADDRESS_B, ALPN_GUEST);
  seen();
  await clock.advance(59 * 60_000);
  expect(reachedBy).toEqual([ALPN_GUEST]);
  await older.close();
  open(nameB, ADDRESS_B, ALPN_NATIVE);
  await clock.advance(2 * 60_000);
  expect(reachedBy).toEqual([ALPN_GUEST, ALPN_NATIVE]);
  expect(log.with("older protocol").length).toBe(1);
});

test("a guest is dialled when its time has come, and by our protocol again after an hour", async () => {
  const { clock, reachedBy, guest, open, seen, disconnect } = world();
  open(nameB, ADDRESS_B, ALPN_GUEST);
  guest.waitMs = 5_000;
  seen();
  await clock.advance(60_000);
  expect(reachedBy).toEqual([]);
  guest.waitMs = 0;
  await clock.advance(6_000);
  expect(reachedBy).toEqual([ALPN_GUEST]);
  disconnect();
  await clock.advance(6_000);
  expect(reachedBy).toEqual([ALPN_GUEST, ALPN_GUEST]);
});

test("all ids that a name can have are dialled side by side", async () => {
  const other = randomSecret();
  const both = new Formation([other, secret]);
  const { clock, reachedAt, open, seen, dialer } = world({ formation: both });
  open(nameB, ADDRESS_B);
  seen();
  await clock.advance(100);
  expect(reachedAt.length).toBe(1);
  expect(dialer.sought()[0]?.ids.length).toBe(2);
});

test("a stop ends every wait and every attempt", async () => {
  const { clock, dialer, seen } = world();
  seen();
  seen("10.0.0.3:1", "mdns", parseNodeName("node-c"));
  await clock.advance(5000);
  await dialer.close();
  expect(dialer.sought()).toEqual([]);
  seen();
  expect(dialer.sought()).toEqual([]);
});

test("no more than 4,096 peers are looked for, however many a source makes up", () => {
  const { dialer, seen } = world();
  // Deriving thousands of ids takes longer than the test is worth: by id they cost nothing.
  for (let n = 0; n < 4200; n += 1) {
    const id = idOf(nameB).slice(0, 56) + n.toString(16).padStart(8, "0");
    dialer.handle("static", {
      kind: "seen",
      peer: { identity: { kind: "id", id: parseEndpointId(id) }, hosts: [] },
    });
  }
  seen();
  expect(dialer.sought().length).toBe(4096);
});

test("a peer whose connection is in doubt is dialled beside it, at once", async () => {
  const { clock, dialer, reachedAt, open, seen } = world();
  open(nameB, ADDRESS_B);
  seen();
  await clock.advance(10_000);
  expect(reachedAt.length).toBe(1);
  dialer.dialBeside({ name: nameB, ids: [idOf(nameB)] });
  await clock.advance(100);
  expect(reachedAt.length).toBe(2);
  // One that nobody looks for can't be.
  dialer.dialBeside({ name: nameA, ids: [] });
  await clock.advance(10_000);
  expect(reachedAt.length).toBe(2);
});

test("a connected peer that gets other addresses is told of once", async () => {
  const { clock, moves, open, seen } = world();
  open(nameB, ADDRESS_B);
  seen();
  await clock.advance(1_000);
  seen();
  expect(moves.count).toBe(0);
  seen("10.0.0.9:1");
  expect(moves.count).toBe(1);
});

test("on another network nobody waits for the end of a pause", async () => {
  const { clock, dialer, reachedAt, open, seen } = world();
  seen();
  await clock.advance(600_000);
  open(nameB, ADDRESS_B);
  dialer.hurry();
  await clock.advance(200);
  expect(reachedAt.length).toBe(1);
});

test("a link that comes up late, beside another, is left again before a word is said", async () => {
  const { clock, net, reachedAt, open, seen } = world();
  net.setPath(idOf(nameA), idOf(nameB), { latencyMs: 2_500 });
  const endpoint = open(nameB, ADDRESS_B);
  seen();
  // Each attempt takes 7.5 s, and after three the next is begun.
  await clock.advance(30_000);
  expect(reachedAt.length).toBe(1);
  expect(net.linksOf(endpoint).filter((link) => !link.isDead).length).toBe(1);
});
