import { describe, expect, test } from "bun:test";
import { AnswerGuard, PacketGuard } from "../../../src/discovery/mdns-guard.ts";
import { SERVICE_TYPE, serviceRecords } from "../../../src/discovery/mdns-service.ts";
import { parseNodeName } from "../../../src/identity/peer.ts";

function packet(length: number, entries = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length >= 8) new DataView(bytes.buffer).setUint16(6, entries);
  return bytes;
}

function admitted(guard: PacketGuard, count: number, source: (i: number) => string, nowMs = 0) {
  let passed = 0;
  for (let i = 0; i < count; i += 1) {
    if (guard.admits(packet(100), source(i), nowMs)) passed += 1;
  }
  return passed;
}

describe("packets", () => {
  test("shorter than a header, longer than 9,000 bytes or of more than 512 entries are dropped", () => {
    const guard = new PacketGuard();
    const verdicts = [packet(0), packet(11), packet(12), packet(9000), packet(9001)];
    expect(verdicts.map((bytes) => guard.admits(bytes, "10.0.0.1", 0))).toEqual([
      false,
      false,
      true,
      true,
      false,
    ]);
    expect(guard.admits(packet(100, 512), "10.0.0.1", 0)).toBe(true);
    expect(guard.admits(packet(100, 513), "10.0.0.1", 0)).toBe(false);
  });

  test("of one source are dropped beyond its share, those of others are not", () => {
    const guard = new PacketGuard();
    expect(admitted(guard, 10_000, () => "10.0.0.66")).toBe(300);
    expect(admitted(guard, 10, () => "10.0.0.1")).toBe(10);
  });

  test("of all sources together are bounded, however many addresses are invented", () => {
    const guard = new PacketGuard();
    expect(admitted(guard, 100_000, (i) => `source-${i}`)).toBeLessThanOrEqual(2000);
  });

  test("are welcome again in the next window", () => {
    const guard = new PacketGuard();
    admitted(guard, 10_000, () => "10.0.0.66");
    expect(admitted(guard, 1, () => "10.0.0.66", 9_999)).toBe(0);
    expect(admitted(guard, 1, () => "10.0.0.66", 10_000)).toBe(1);
  });

  test("that are large cost more", () => {
    const guard = new PacketGuard();
    let passed = 0;
    while (guard.admits(packet(9000), "10.0.0.66", 0)) passed += 1;
    expect(passed).toBe(33);
  });
});

describe("questions", () => {
  const name = parseNodeName("alpha");
  const records = serviceRecords({ name, port: 1, formationTag: "00000000" }, [
    { family: "IPv4", address: "10.0.0.1" },
  ]);
  const instance = "peat-alpha._peat._udp.local";
  const browse = { name: SERVICE_TYPE, type: "PTR" };

  test("about us pass in any case of letters, others don't", () => {
    const guard = new AnswerGuard(records, instance);
    const questions = [
      { name: "_PEAT._udp.LOCAL", type: "PTR" },
      { name: instance, type: "SRV" },
      { name: "alpha.local", type: "A" },
      { name: "beta.local", type: "A" },
      { name: "_ipp._tcp.local", type: "PTR" },
    ];
    expect(guard.admits(questions, [], 0)).toEqual(questions.slice(0, 3));
  });

  test("that repeat are answered once in a second, in one packet or many", () => {
    const guard = new AnswerGuard(records, instance);
    const flood = Array.from({ length: 1500 }, () => browse);
    expect(guard.admits(flood, [], 0)).toEqual([browse]);
    expect(guard.admits([browse], [], 999)).toEqual([]);
    expect(guard.admits([browse], [], 1000)).toEqual([browse]);
  });

  test("of somebody who knows us are not answered while more than half of the time is left", () => {
    const guard = new AnswerGuard(records, instance);
    const known = { name: SERVICE_TYPE, type: "PTR", data: instance };
    expect(guard.admits([browse], [{ ...known, ttl: 4000 }], 0)).toEqual([]);
    expect(guard.admits([browse], [{ ...known, ttl: 2000 }], 0)).toEqual([browse]);
    const other = { ...known, ttl: 4000, data: `peat-beta.${SERVICE_TYPE}` };
    expect(guard.admits([browse], [other], 5000)).toEqual([browse]);
  });

  test("of a node that announces nothing are none of ours", () => {
    expect(new AnswerGuard([], instance).admits([browse], [], 0)).toEqual([]);
  });
});
