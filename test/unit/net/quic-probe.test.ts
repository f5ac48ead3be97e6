// The packet that asks a QUIC server for its versions, and what passes for its answer.
import { describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import fc from "fast-check";
import { concatBytes } from "../../../src/base/bytes.ts";
import { isVersionNegotiation, probePacket, probeQuic } from "../../../src/net/quic-probe.ts";

const to = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const from = Uint8Array.of(11, 12, 13, 14, 15, 16, 17, 18);
const ids = { to, from };

function answer(versions: readonly number[] = [0, 0, 0, 1]): Uint8Array {
  const head = Uint8Array.of(0xe5, 0, 0, 0, 0, 8);
  return concatBytes([head, from, Uint8Array.of(8), to, Uint8Array.from(versions)]);
}

describe("the packet", () => {
  test("is as long as a server demands, of a version that is reserved for asking", () => {
    const packet = probePacket(ids);
    expect(packet.length).toBe(1200);
    expect([...packet.subarray(0, 6)]).toEqual([0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8]);
    expect([...packet.subarray(6, 23)]).toEqual([...to, 8, ...from]);
  });
});

describe("the answer", () => {
  test("is one of version 0 with the ids turned round and some versions", () => {
    expect(isVersionNegotiation(answer(), ids)).toBe(true);
    expect(isVersionNegotiation(answer([0, 0, 0, 1, 0xff, 0, 0, 29]), ids)).toBe(true);
  });

  test("is nothing that is shorter, longer by a part of a version, or of other ids", () => {
    const good = answer();
    for (let length = 0; length < good.length; length += 1) {
      expect(isVersionNegotiation(good.subarray(0, length), ids)).toBe(false);
    }
    expect(isVersionNegotiation(answer([0, 0, 0, 1, 0]), ids)).toBe(false);
    expect(isVersionNegotiation(good, { to: from, from: to })).toBe(false);
    for (let at = 1; at < 23; at += 1) {
      const other = good.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      expect(isVersionNegotiation(other, ids), `byte ${at}`).toBe(false);
    }
  });

  test("is no random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => !isVersionNegotiation(bytes, ids)),
    );
  });
});

test("who answers something else counts as silent; who is not there as refusing or silent", async () => {
  const liar = createSocket("udp4");
  liar.on("message", (_, { address, port }) => liar.send(answer(), port, address));
  await new Promise<void>((resolve) => liar.bind(0, "127.0.0.1", resolve));
  const { port } = liar.address();
  expect(await probeQuic({ host: "127.0.0.1", port }, 100)).toEqual({ kind: "silent" });
  await new Promise<void>((resolve) => liar.close(() => resolve()));
  expect(["silent", "refused"]).toContain((await probeQuic({ host: "127.0.0.1", port }, 100)).kind);
});
