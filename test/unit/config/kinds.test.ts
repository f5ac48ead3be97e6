import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  agentAddress,
  collectionMode,
  collectionPolicy,
  isLoopback,
  listenAddress,
  peerAddress,
} from "../../../src/config/addresses.ts";
import {
  boolean,
  httpUrl,
  ipAddress,
  type Kind,
  listOf,
  logFilter,
  oneOf,
  origin,
  port,
  seconds,
  secretBytes,
  secretToken,
  size,
} from "../../../src/config/kinds.ts";
import { PROGRAMS } from "../../../src/config/setting.ts";
import { SETTING_NAMES, settingOf } from "../../../src/config/settings.ts";

function value<T>(kind: Kind<T>, text: string): T {
  const read = kind.parse(text);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}

const isRefused = (kind: Kind<unknown>, text: string) => !kind.parse(text).ok;

describe("what is read", () => {
  test("a port is 0 to 65535 in decimal digits", () => {
    expect(value(port, " 8081 ")).toBe(8081);
    expect(value(port, "0")).toBe(0);
    expect(value(port, "65535")).toBe(65_535);
    for (const text of ["65536", "-1", "1.5", "0x50", "1e3", "", "80 81"]) {
      expect([text, isRefused(port, text)]).toEqual([text, true]);
    }
  });

  test("a size is bytes, or a number with KiB, MiB or GiB", () => {
    const kind = size(1024, 1024 ** 3);
    expect(value(kind, "1024")).toBe(1024);
    expect(value(kind, "64KiB")).toBe(65_536);
    expect(value(kind, "1 MiB")).toBe(1024 ** 2);
    expect(value(kind, "1GiB")).toBe(1024 ** 3);
    for (const text of ["1023", "2GiB", "64KB", "1.5MiB", "KiB", ""]) {
      expect([text, isRefused(kind, text)]).toEqual([text, true]);
    }
  });

  test("true and false have two spellings each, nothing else is either", () => {
    expect(["true", "1", "TRUE"].map((text) => value(boolean, text))).toEqual([true, true, true]);
    expect(["false", "0"].map((text) => value(boolean, text))).toEqual([false, false]);
    for (const text of ["yes", "", "2"])
      expect([text, isRefused(boolean, text)]).toEqual([text, true]);
  });

  test("an IPv6 address may have brackets", () => {
    expect(value(ipAddress, "[::1]")).toBe("::1");
    expect(isRefused(ipAddress, "localhost")).toBe(true);
    expect(isRefused(ipAddress, "127.0.0.256")).toBe(true);
  });

  test("an origin has no path", () => {
    expect(value(origin, "https://map.example:8443")).toBe("https://map.example:8443");
    expect(value(origin, "http://map.example/")).toBe("http://map.example");
    expect(value(origin, "*")).toBe("*");
    for (const text of ["https://map.example/x", "map.example", "ftp://map.example", "null"]) {
      expect([text, isRefused(origin, text)]).toEqual([text, true]);
    }
  });

  test("a relay's URL is HTTP", () => {
    expect(value(httpUrl("URL"), "https://relay.example.")).toBe("https://relay.example.");
    expect(isRefused(httpUrl("URL"), "relay.example")).toBe(true);
    expect(isRefused(httpUrl("URL"), "https://")).toBe(true);
  });

  test("a word is case-sensitive, an alias is its word", () => {
    const kind = oneOf(["kubernetes", "mdns"], { k8s: "kubernetes" });
    expect(value(kind, "k8s")).toBe("kubernetes");
    expect(isRefused(kind, "MDNS")).toBe(true);
    expect(isRefused(kind, "toString")).toBe(true);
  });

  test("a list drops blanks and empty items, and names every bad one", () => {
    expect(value(listOf(port), " 1, ,2,")).toEqual([1, 2]);
    expect(value(listOf(port), "none")).toEqual([]);
    const read = listOf(port).parse("1,x,y");
    expect(read.ok ? "" : read.problem).toMatch(/"x".*"y"/);
    expect(isRefused(listOf(port, { itemsMax: 2 }), "1,2,3")).toBe(true);
  });

  test("a log filter keeps what it understands and tells the rest", () => {
    const read = logFilter.parse("info,=debug");
    expect(read).toMatchObject({ ok: true, value: "info,=debug" });
    expect(read.ok ? read.doubt : "").toContain('"=debug"');
  });

  test("listeners are unix paths and TCP addresses, never names", () => {
    expect(value(listenAddress, "unix:///run/p.sock")).toEqual({
      kind: "unix",
      path: "/run/p.sock",
    });
    expect(value(listenAddress, "127.0.0.1:1")).toEqual({
      kind: "tcp",
      host: "127.0.0.1",
      port: 1,
    });
    expect(value(listenAddress, "tcp://[::]:1")).toEqual({ kind: "tcp", host: "::", port: 1 });
    for (const text of ["localhost:1", "unix://relative", "tcp://1.2.3.4", "tcp://1.2.3.4:99999"]) {
      expect([text, isRefused(listenAddress, text)]).toEqual([text, true]);
    }
  });

  test("loopback is 127/8 and ::1", () => {
    expect(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "10.0.0.1", "128.0.0.1"].some(isLoopback)).toBe(false);
  });

  test("a sync mode is spelt as one likes, a window has seconds", () => {
    const mode = (text: string) => value(collectionMode, text).mode;
    expect(mode("a=latest_only")).toEqual({ kind: "LatestOnly" });
    expect(mode("a=LatestOnly")).toEqual({ kind: "LatestOnly" });
    expect(mode("a=windowed-history:60")).toEqual({ kind: "WindowedHistory", windowSecs: 60 });
    expect(mode("a=WindowedHistory")).toEqual({ kind: "WindowedHistory", windowSecs: 300 });
    for (const text of ["a", "a=", "=LatestOnly", "a=LatestOnly:3", "a=WindowedHistory:0"]) {
      expect([text, isRefused(collectionMode, text)]).toEqual([text, true]);
    }
  });

  test("a policy with a lifetime needs its seconds", () => {
    const policy = (text: string) => value(collectionPolicy, text).policy;
    expect(policy("a=immutable")).toEqual({ kind: "immutable" });
    expect(policy("a=tombstone:3600")).toEqual({ kind: "tombstone", ttlSecs: 3600 });
    for (const text of ["a=tombstone", "a=implicit_ttl:0", "a=soft_delete:3", "a=forget"]) {
      expect([text, isRefused(collectionPolicy, text)]).toEqual([text, true]);
    }
  });

  test("a token is visible ASCII, and is not shown when it isn't", () => {
    expect(value(secretToken, "abc\n").expose()).toBe("abc");
    const read = secretToken.parse("geheim wort");
    expect(read.ok ? "geheim" : read.problem).not.toContain("geheim");
  });

  test("a key of a fixed length is exactly that long", () => {
    const kind = secretBytes({ min: 32, max: 32 });
    expect(kind.parse(new Uint8Array(32).toBase64()).ok).toBe(true);
    expect(isRefused(kind, new Uint8Array(31).toBase64())).toBe(true);
    expect(isRefused(kind, new Uint8Array(33).toBase64())).toBe(true);
  });

  test("a secret of text that a lenient decoder takes is refused, and never repeated", () => {
    const kind = secretBytes({ min: 16, max: 1024 });
    const text = new Uint8Array(32).fill(0xfb).toBase64();
    expect(value(kind, ` ${text}\r\n`).expose()).toEqual(new Uint8Array(32).fill(0xfb));
    const wrong = [
      text.replace(/=+$/, ""),
      text.replaceAll("+", "-"),
      `${new Uint8Array(31).fill(0xfb).toBase64().slice(0, -3)}9==`,
      `${text.slice(0, 20)}\n${text.slice(20)}`,
      "correct horse battery staple!",
    ];
    for (const each of wrong) {
      const read = kind.parse(each);
      expect([each, read.ok]).toEqual([each, false]);
      expect(read.ok ? "" : read.problem).not.toContain(each);
    }
  });
});

describe("every row of the table", () => {
  test("has defaults that its own kind reads, without doubt", () => {
    for (const name of SETTING_NAMES) {
      const { fallback, kind } = settingOf(name);
      if (fallback.kind !== "text") continue;
      for (const program of PROGRAMS) {
        const read = kind.parse(fallback.texts[program]);
        expect([name, read.ok, read.ok ? read.doubt : ""]).toEqual([name, true, undefined]);
      }
    }
  });

  test("prints a value as text that reads as the same value", () => {
    const hosts = fc.constantFrom("10.0.0.1", "[fd00::1]", "hq.example");
    const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/);
    const peers = fc
      .array(fc.tuple(name, hosts, fc.integer({ min: 1, max: 65_535 })), { minLength: 1 })
      .map((all) => all.map(([who, host, number]) => `${who}@${host}:${number}`).join(","));
    const cases: readonly (readonly [Kind<unknown>, fc.Arbitrary<string>])[] = [
      [port, fc.integer({ min: 0, max: 65_535 }).map(String)],
      [seconds(1, 9999), fc.integer({ min: 1, max: 9999 }).map(String)],
      [size(0, 1024 ** 4), fc.integer({ min: 0, max: 99 }).map((n) => `${n}MiB`)],
      [listOf(peerAddress), peers],
      [listOf(oneOf(["a", "b"])), fc.array(fc.constantFrom("a", "b")).map((all) => all.join())],
      [ipAddress, fc.oneof(fc.ipV4(), fc.ipV6())],
    ];
    for (const [kind, texts] of cases) {
      fc.assert(
        fc.property(texts, (text) => {
          const once = value(kind, text);
          expect(value(kind, kind.print(once))).toEqual(once);
        }),
      );
    }
  });

  test("reads any text as a value or a problem, and throws nothing", () => {
    fc.assert(
      fc.property(fc.constantFrom(...SETTING_NAMES), fc.string({ maxLength: 60 }), (name, text) => {
        const read = settingOf(name).kind.parse(text);
        if (!read.ok) expect(read.problem.length).toBeGreaterThan(0);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("the address of an agent", () => {
  test.each([
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["http://agent", "http://agent:80"],
    ["https://agent/base/", "https://agent:443/base"],
    ["https://[::1]:9443", "https://[::1]:9443"],
    ["unix:///run/agent.sock", "unix:///run/agent.sock"],
  ])("%s is %s", (text, printed) => {
    expect(agentAddress.print(value(agentAddress, text))).toBe(printed);
    expect(agentAddress.print(value(agentAddress, printed))).toBe(printed);
  });

  test.each([
    "127.0.0.1:8080",
    "ftp://agent",
    "http://",
    "http://user:password@agent",
    "http://agent/?query",
    "unix://run/agent.sock",
    `unix:///${"x".repeat(107)}`,
  ])("is not %s", (text) => {
    expect(agentAddress.parse(text).ok).toBe(false);
  });
});
