import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decodeTxt,
  goodbyeRecords,
  hostName,
  instanceName,
  SERVICE_TYPE,
  serviceRecords,
} from "../../../src/discovery/mdns-service.ts";
import { parseNodeName } from "../../../src/identity/peer.ts";

const anyName = fc.stringMatching(/^[A-Za-z0-9._-]{1,253}$/).map((text) => parseNodeName(text));

const identity = { port: 11204, formationTag: "0a1b2c3d" };

function txtOf(name: string): readonly Uint8Array[] {
  const records = serviceRecords({ ...identity, name: parseNodeName(name) }, [
    { family: "IPv4", address: "10.0.0.1" },
  ]);
  return records.find((record) => record.type === "TXT")?.data as Uint8Array[];
}

describe("names on the wire", () => {
  test("a plain name is announced as older nodes announce it", () => {
    const name = parseNodeName("peat-mesh-0");
    expect(instanceName(name)).toBe("peat-peat-mesh-0._peat._udp.local");
    expect(hostName(name)).toBe("peat-mesh-0.local");
  });

  test("every name gives an instance and a host of one label of at most 63 bytes", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const instance = instanceName(name).slice(0, -SERVICE_TYPE.length - 1);
        expect(instance).toMatch(/^peat-[A-Za-z0-9_-]{1,58}$/);
        expect(hostName(name)).toMatch(/^[A-Za-z0-9-]{1,63}\.local$/);
      }),
    );
  });

  test("names that differ only in what a label can't hold stay apart", () => {
    const long = "n".repeat(200);
    const names = ["a.b", "a-b", "a_b", `${long}1`, `${long}2`].map(parseNodeName);
    expect(new Set(names.map(instanceName)).size).toBe(names.length);
    expect(new Set(names.map(hostName)).size).toBe(names.length);
  });

  test("58 characters fit behind the prefix and 59 are shortened", () => {
    const fits = "x".repeat(58);
    expect(instanceName(parseNodeName(fits))).toBe(`peat-${fits}.${SERVICE_TYPE}`);
    const [label = ""] = instanceName(parseNodeName(`${fits}x`)).split(".");
    expect(label).toHaveLength(63);
    expect(label).not.toContain(fits);
  });
});

describe("the TXT record", () => {
  test("tells the name and the formation's tag, and nothing else", () => {
    expect(txtOf("a.b").map((text) => Buffer.from(text).toString())).toEqual([
      "node_id=a.b",
      "formation=0a1b2c3d",
    ]);
  });

  test("brings back every valid name, also those that fill a TXT string", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        expect(decodeTxt(txtOf(name))).toEqual({ name, formationTag: identity.formationTag });
      }),
    );
    for (const length of [247, 248, 253]) {
      const name = parseNodeName("n".repeat(length));
      for (const text of txtOf(name)) expect(text.length).toBeLessThanOrEqual(255);
      expect(decodeTxt(txtOf(name))?.name).toBe(name);
    }
  });

  test("of an older node has no tag, and may be one string instead of a list", () => {
    const text = Buffer.from("node_id=old");
    expect(decodeTxt(text)).toEqual({ name: parseNodeName("old"), formationTag: undefined });
    expect(decodeTxt([Buffer.from("NODE_ID=old"), Buffer.from("x=y")])?.name).toBe(
      parseNodeName("old"),
    );
  });

  test("counts the first of a repeated key", () => {
    const texts = ["node_id=first", "node_id=second"].map((text) => Buffer.from(text));
    expect(decodeTxt(texts)?.name).toBe(parseNodeName("first"));
  });

  test("without a valid name says nothing", () => {
    for (const text of [
      "",
      "node_id",
      "node_id=",
      "node_id=a b",
      "node_id=ä",
      `node_id=${"x".repeat(254)}`,
    ]) {
      expect(decodeTxt([Buffer.from(text)]), text).toBeUndefined();
    }
    for (const data of [undefined, null, 7, "node_id=text", {}, [], [null, 7, "node_id=a"]]) {
      expect(decodeTxt(data)).toBeUndefined();
    }
  });

  test("of any bytes is read or ignored", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 255 }), { maxLength: 5 }), (strings) => {
        const text = decodeTxt(strings);
        if (text !== undefined) expect(parseNodeName(text.name)).toBe(text.name);
      }),
    );
  });
});

describe("what is announced", () => {
  const name = parseNodeName("alpha");

  test("has the service's port and each address under the host's name", () => {
    const records = serviceRecords({ ...identity, name }, [
      { family: "IPv4", address: "10.0.0.1" },
      { family: "IPv6", address: "fd00::1" },
    ]);
    expect(records.find(({ type }) => type === "SRV")?.data).toMatchObject({
      port: 11204,
      target: "alpha.local",
    });
    expect(records.filter(({ name: host }) => host === "alpha.local")).toEqual([
      { name: "alpha.local", type: "A", ttl: 120, data: "10.0.0.1" },
      { name: "alpha.local", type: "AAAA", ttl: 120, data: "fd00::1" },
    ]);
  });

  test("is nothing where there is no address to dial", () => {
    expect(serviceRecords({ ...identity, name }, [])).toEqual([]);
  });

  test("is taken back by a goodbye, but not the type that others offer too", () => {
    const records = serviceRecords({ ...identity, name }, [
      { family: "IPv4", address: "10.0.0.1" },
    ]);
    const goodbye = goodbyeRecords(records);
    expect(goodbye.map(({ type }) => type)).toEqual(["PTR", "SRV", "TXT", "A"]);
    expect(goodbye.every(({ ttl }) => ttl === 0)).toBe(true);
  });
});
