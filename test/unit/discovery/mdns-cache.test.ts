import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MdnsCache } from "../../../src/discovery/mdns-cache.ts";
import {
  type DnsRecord,
  goodbyeRecords,
  instanceName,
  SERVICE_TYPE,
  serviceRecords,
  withdrawnRecords,
} from "../../../src/discovery/mdns-service.ts";
import { type PeerEvent, parseNodeName, printHostPort } from "../../../src/identity/peer.ts";
import { cases } from "../../support/effort.ts";

const TAG = "0a1b2c3d";

function cacheOf(formationTags: readonly string[] = [TAG]): MdnsCache {
  return new MdnsCache({ ownName: parseNodeName("self"), formationTags });
}

interface Announced {
  readonly addresses?: readonly string[];
  readonly port?: number;
  readonly tag?: string;
}

function announce(
  name: string,
  { addresses = ["10.0.0.2"], port = 11204, tag = TAG }: Announced = {},
): DnsRecord[] {
  return serviceRecords(
    { name: parseNodeName(name), port, formationTag: tag },
    addresses.map((address) => ({ family: address.includes(":") ? "IPv6" : "IPv4", address })),
  );
}

/** Events in a form that reads: `+alpha 10.0.0.2:11204` and `-alpha`. */
function told(events: readonly PeerEvent[]): string[] {
  return events.map((event) => {
    const { identity } = event.kind === "seen" ? event.peer : event;
    const name = identity.kind === "name" ? identity.name : identity.id;
    if (event.kind === "gone") return `-${name}`;
    return `+${name} ${event.peer.hosts.map(printHostPort).sort().join(" ")}`;
  });
}

function hear(cache: MdnsCache, records: readonly DnsRecord[], nowMs = 0, source = "10.0.0.2") {
  return told(cache.hear({ records, source, nowMs }));
}

function olderNode(name: string): DnsRecord[] {
  const instance = `peat-${name}.${SERVICE_TYPE}`;
  return [
    { name: SERVICE_TYPE, type: "PTR", ttl: 4500, data: instance },
    { name: instance, type: "SRV", ttl: 120, data: { port: 11204, target: "old.local" } },
    { name: instance, type: "TXT", ttl: 4500, data: [Buffer.from(`node_id=${name}`)] },
    { name: "old.local", type: "A", ttl: 120, data: "10.0.0.9" },
  ];
}

describe("a peer", () => {
  test("is told once, however often it announces the same", () => {
    const cache = cacheOf();
    expect(hear(cache, announce("alpha"))).toEqual(["+alpha 10.0.0.2:11204"]);
    expect(hear(cache, announce("alpha"), 1000)).toEqual([]);
    expect(hear(cache, announce("alpha").toReversed(), 2000)).toEqual([]);
  });

  test("is told when its records come one by one, in any order after the first", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([1, 2, 3, 4], { minLength: 4 }), (order) => {
        const cache = cacheOf();
        const records = announce("alpha");
        const events = hear(cache, records.slice(0, 1));
        // A host's addresses mean something only once a service points at the host.
        for (const i of [...order, ...order]) events.push(...hear(cache, records.slice(i, i + 1)));
        expect(events).toEqual(["+alpha 10.0.0.2:11204"]);
      }),
    );
  });

  test("of an older node, without a tag and with dots in its label, is a peer as well", () => {
    const cache = cacheOf();
    expect(hear(cache, olderNode("pod.cluster"))).toEqual(["+pod.cluster 10.0.0.9:11204"]);
    expect(hear(cache, goodbyeRecords(olderNode("pod.cluster")))).toEqual(["-pod.cluster"]);
  });

  test("with dots or 253 characters in its name is recognised, and recognised at its goodbye", () => {
    for (const name of ["a.b.c", `n${".x".repeat(126)}`]) {
      const cache = cacheOf();
      expect(hear(cache, announce(name))).toEqual([`+${name} 10.0.0.2:11204`]);
      expect(hear(cache, goodbyeRecords(announce(name)))).toEqual([`-${name}`]);
      expect(cache.size).toBe(0);
    }
  });

  test("is told again when its addresses or its port change", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    expect(hear(cache, announce("alpha", { addresses: ["10.0.0.2", "fd00::2"] }))).toEqual([
      "+alpha 10.0.0.2:11204 [fd00::2]:11204",
    ]);
    const old = withdrawnRecords(parseNodeName("alpha"), [{ family: "IPv4", address: "10.0.0.2" }]);
    expect(hear(cache, old)).toEqual(["+alpha [fd00::2]:11204"]);
    expect(hear(cache, announce("alpha", { addresses: ["fd00::2"], port: 7 }))).toEqual([
      "+alpha [fd00::2]:7",
    ]);
  });

  test("that is announced on two interfaces has the addresses of both", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha", { addresses: ["10.0.0.2"] }));
    expect(hear(cache, announce("alpha", { addresses: ["10.1.0.2"] }), 0, "10.1.0.2")).toEqual([
      "+alpha 10.0.0.2:11204 10.1.0.2:11204",
    ]);
  });

  test("that two services claim keeps the addresses of both: only a dial tells who is right", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    const liar = announce("liar", { addresses: ["10.0.0.66"] }).map((record) =>
      record.type === "TXT" ? { ...record, data: [Buffer.from("node_id=alpha")] } : record,
    );
    expect(hear(cache, liar)).toEqual(["+alpha 10.0.0.2:11204 10.0.0.66:11204"]);
    expect(hear(cache, goodbyeRecords(announce("alpha")))).toEqual(["+alpha 10.0.0.66:11204"]);
  });

  test("that renames itself is gone under the old name and seen under the new", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    const renamed = announce("alpha").map((record) =>
      record.type === "TXT" ? { ...record, data: [Buffer.from("node_id=omega")] } : record,
    );
    expect(hear(cache, renamed)).toEqual(["-alpha", "+omega 10.0.0.2:11204"]);
  });
});

describe("not a peer", () => {
  test("is this node itself", () => {
    expect(hear(cacheOf(), announce("self"))).toEqual([]);
  });

  test("is a node of another formation, but one by any secret of ours is", () => {
    const cache = cacheOf([TAG, "ffffffff"]);
    expect(hear(cache, announce("alpha", { tag: "00000000" }))).toEqual([]);
    expect(hear(cache, announce("beta", { tag: "ffffffff" }))).toEqual(["+beta 10.0.0.2:11204"]);
    expect(cache.questions(60_000)).not.toContainEqual({
      name: instanceName(parseNodeName("alpha")),
      type: "SRV",
    });
  });

  test("is a service without TXT, or whose name can't be a node's", () => {
    const withText = (text: string) =>
      announce("alpha").map((record) =>
        record.type === "TXT" ? { ...record, data: [Buffer.from(text)] } : record,
      );
    const bare = announce("alpha").filter(({ type }) => type !== "TXT");
    for (const records of [bare, withText("x=y"), withText("node_id=a b"), withText("node_id=")]) {
      expect(hear(cacheOf(), records)).toEqual([]);
    }
  });

  test("is a service with a port that can't be, or with addresses that are none", () => {
    const withPort = (port: unknown) =>
      announce("alpha").map((record) =>
        record.type === "SRV" ? { ...record, data: { port, target: "alpha.local" } } : record,
      );
    for (const port of [0, -1, 65536, 1.5, "80", undefined]) {
      expect(hear(cacheOf(), withPort(port)), String(port)).toEqual([]);
    }
    expect(hear(cacheOf(), withPort(65535))).toEqual(["+alpha 10.0.0.2:65535"]);
    const useless = [
      "host.example",
      "999.1.1.1",
      "10.0.0",
      "",
      "0.0.0.0",
      "224.0.0.251",
      "255.255.255.255",
      "127.0.0.1",
      "::1",
      "::ffff:10.0.0.1",
      "ff02::fb",
      "fe80::1",
    ];
    for (const address of useless) {
      expect(hear(cacheOf(), announce("alpha", { addresses: [address] })), address).toEqual([]);
    }
  });

  test("is loopback said by another machine; said over loopback it is", () => {
    const records = announce("alpha", { addresses: ["127.0.0.1"] });
    expect(hear(cacheOf(), records, 0, "10.0.0.2")).toEqual([]);
    expect(hear(cacheOf(), records, 0, "127.0.0.1")).toEqual(["+alpha 127.0.0.1:11204"]);
  });
});

describe("time", () => {
  test("a peer that vanished is gone when its records have lived their 120 s", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    expect(told(cache.expire(119_999))).toEqual([]);
    const [gone] = cache.expire(120_000);
    expect(gone).toMatchObject({ kind: "gone", isSilent: true, identity: { name: "alpha" } });
    expect(cache.size).toBe(1);
    expect(told(cache.expire(4_500_000))).toEqual([]);
    expect(cache.size).toBe(0);
  });

  test("an announcement gives a peer its full time again", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    hear(cache, announce("alpha"), 60_000);
    expect(told(cache.expire(179_999))).toEqual([]);
    expect(told(cache.expire(180_000))).toEqual(["-alpha"]);
    expect(hear(cache, announce("alpha"), 200_000)).toEqual(["+alpha 10.0.0.2:11204"]);
  });

  test("times to live from strangers are held between 10 s and 75 minutes", () => {
    const cache = cacheOf();
    const withTtl = (ttl: number) => announce("alpha").map((record) => ({ ...record, ttl }));
    hear(cache, withTtl(1));
    expect(told(cache.expire(9_999))).toEqual([]);
    expect(told(cache.expire(10_000))).toEqual(["-alpha"]);
    hear(cache, withTtl(0xffff_ffff), 20_000);
    expect(told(cache.expire(4_519_999))).toEqual([]);
    expect(told(cache.expire(4_520_000))).toEqual(["-alpha"]);
  });

  test("records near their end are asked for at 80 % and then every 7 %", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    const instance = instanceName(parseNodeName("alpha"));
    expect(cache.questions(95_999)).toEqual([]);
    expect(cache.questions(96_000)).toEqual([
      { name: instance, type: "SRV" },
      { name: "alpha.local", type: "A" },
    ]);
    expect(cache.questions(104_399)).toEqual([]);
    expect(cache.questions(104_400)).not.toEqual([]);
    hear(cache, announce("alpha"), 110_000);
    expect(cache.questions(200_000)).toEqual([]);
  });

  test("a service that is only half known is asked about, ever more seldom", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha").slice(0, 1));
    const askedAt: number[] = [];
    for (let nowMs = 0; nowMs <= 300_000; nowMs += 1000) {
      if (cache.questions(nowMs).length > 0) askedAt.push(nowMs / 1000);
    }
    expect(askedAt).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 192, 256]);
  });

  test("what is known with more than half of its time left is not asked for again", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    const data = instanceName(parseNodeName("alpha"));
    expect(cache.knownAnswers(1000)).toEqual([
      { name: SERVICE_TYPE, type: "PTR", ttl: 4499, data },
    ]);
    expect(cache.knownAnswers(2_250_000)).toEqual([]);
  });
});

describe("hostile announcements", () => {
  test("10,000 services of one source fill its share and leave room for others", () => {
    const cache = cacheOf();
    for (let i = 0; i < 10_000; i += 1) hear(cache, announce(`fake-${i}`), 0, "10.0.0.66");
    expect(cache.size).toBe(512);
    expect(cache.refused).toBe(10_000 - 512);
    expect(hear(cache, announce("alpha"))).toEqual(["+alpha 10.0.0.2:11204"]);
  });

  test("10,000 services of 10,000 sources fill 4,096 places, and who was known stays known", () => {
    const cache = cacheOf();
    hear(cache, announce("alpha"));
    for (let i = 0; i < 10_000; i += 1) hear(cache, announce(`fake-${i}`), 0, `source-${i}`);
    expect(cache.size).toBe(4096);
    expect(hear(cache, announce("alpha", { addresses: ["10.0.0.3"] }))).toEqual([
      "+alpha 10.0.0.2:11204 10.0.0.3:11204",
    ]);
    // The room comes back with the records' end.
    cache.expire(4_500_000);
    expect(cache.size).toBe(0);
    expect(hear(cache, announce("beta"), 4_500_001)).toEqual(["+beta 10.0.0.2:11204"]);
  });

  test("a packet is read up to its 512th record, and a peer has at most 16 addresses", () => {
    const addresses = Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const [seen = ""] = hear(cacheOf(), announce("alpha", { addresses }));
    expect(seen.split(" ").length - 1).toBeLessThanOrEqual(16);
    const late = [...Array(512).fill({ name: "x", type: "A", ttl: 1 }), ...announce("alpha")];
    expect(hear(cacheOf(), late)).toEqual([]);
  });

  test("512 services of one host are told without quadratic work", () => {
    const flood = Array.from({ length: 512 }, (_, i) => ({
      name: "one.local",
      type: "A",
      ttl: i % 2 === 0 ? 0 : 120,
      data: `10.2.0.${i % 8}`,
    }));
    const milliseconds = (services: number) => {
      const cache = cacheOf();
      for (let i = 0; i < services; i += 1) {
        const records = announce(`fake-${i}`).map((record) =>
          record.type === "SRV"
            ? { ...record, data: { port: 1, target: "one.local" } }
            : { ...record, name: record.type === "A" ? "one.local" : record.name },
        );
        hear(cache, records, 0, "10.0.0.66");
      }
      const startMs = performance.now();
      for (let i = 0; i < 20; i += 1) hear(cache, flood, 0, "10.0.0.66");
      return performance.now() - startMs;
    };
    // The least of several, taken in turns: a machine that stands still for a moment is no measure.
    const least = { few: Infinity, many: Infinity };
    for (let turn = 0; turn < 5; turn += 1) {
      least.many = Math.min(least.many, milliseconds(512));
      least.few = Math.min(least.few, milliseconds(64));
    }
    // Eight times the services; quadratic work would take 64 times as long.
    expect(least.many).toBeLessThan(Math.max(least.few, 2) * 32);
  });

  test("records of any shape are taken or ignored, and the cache stays consistent", () => {
    const names = fc.constantFrom(
      SERVICE_TYPE,
      `peat-a.${SERVICE_TYPE}`,
      `peat-b.${SERVICE_TYPE}`,
      "a.local",
      "b.local",
      "__proto__",
      "",
    );
    const data = fc.oneof(
      names,
      fc.constantFrom("10.0.0.1", "10.0.0.2", "fd00::1"),
      fc.record({
        port: fc.constantFrom<unknown>(1, 2, 0, "x"),
        target: fc.oneof(names, fc.nat()),
      }),
      fc
        .constantFrom("node_id=a", "node_id=b", "node_id=self", "node_id=", "formation=x")
        .map((t) => [Buffer.from(t)]),
      fc.anything(),
    );
    const record = fc.record({
      name: fc.oneof({ weight: 9, arbitrary: names }, { weight: 1, arbitrary: fc.anything() }),
      type: fc.constantFrom("PTR", "SRV", "TXT", "A", "AAAA", "OPT"),
      ttl: fc.oneof(fc.constantFrom(0, 1, 120, Number.NaN), fc.anything()),
      data,
    }) as fc.Arbitrary<DnsRecord>;
    const packets = fc.array(fc.array(record, { maxLength: 12 }), { maxLength: 12 });
    fc.assert(
      fc.property(packets, (all) => {
        const cache = cacheOf();
        const known = new Set<string>();
        const follow = (events: readonly PeerEvent[]) => {
          for (const line of told(events)) {
            const name = line.slice(1).split(" ", 1)[0] ?? "";
            // Nothing is gone that was not seen, and never this node itself.
            if (line.startsWith("-")) expect(known.delete(name)).toBe(true);
            else known.add(name);
            expect(name).not.toBe("self");
          }
        };
        for (const [i, records] of all.entries()) {
          follow(cache.hear({ records, source: "10.0.0.2", nowMs: i * 1000 }));
          follow(cache.expire(i * 1000 + 500));
          cache.questions(i * 1000);
          cache.knownAnswers(i * 1000);
        }
        follow(cache.expire(10_000_000));
        expect([...known]).toEqual([]);
        expect(cache.size).toBe(0);
      }),
      cases(1000),
    );
  });
});
