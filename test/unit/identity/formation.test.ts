import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fault } from "../../../src/base/faults.ts";
import { Secret } from "../../../src/base/secret.ts";
import { Formation } from "../../../src/identity/formation.ts";
import { deriveEndpointKey, secretTag } from "../../../src/identity/keypair.ts";
import { type NodeName, parseNodeName, toEndpointId } from "../../../src/identity/peer.ts";

function secret(fill: number): Secret<Uint8Array> {
  return new Secret(new Uint8Array(32).fill(fill));
}

function idBy(by: Secret<Uint8Array>, name: NodeName) {
  return toEndpointId(deriveEndpointKey(by, name).publicKey);
}

const alpha = parseNodeName("alpha");
const beta = parseNodeName("beta");

describe("a formation", () => {
  test("is itself by its first secret and knows a name by each of them, in order", () => {
    const formation = new Formation([secret(1), secret(2)]);
    expect(formation.ownTag).toBe(secretTag(secret(1)));
    expect(formation.tags).toEqual([secretTag(secret(1)), secretTag(secret(2))]);
    expect(formation.endpointKey(alpha)).toEqual(deriveEndpointKey(secret(1), alpha));
    expect(formation.endpointIds(alpha)).toEqual([
      { id: idBy(secret(1), alpha), tag: secretTag(secret(1)) },
      { id: idBy(secret(2), alpha), tag: secretTag(secret(2)) },
    ]);
  });

  test("proves a name by whichever secret its id derives from", () => {
    const formation = new Formation([secret(1), secret(2)]);
    expect(formation.prove(alpha, idBy(secret(1), alpha))).toBe(secretTag(secret(1)));
    expect(formation.prove(alpha, idBy(secret(2), alpha))).toBe(secretTag(secret(2)));
  });

  test("proves nothing for another secret, another name or a changed id", () => {
    const formation = new Formation([secret(1), secret(2)]);
    expect(formation.prove(alpha, idBy(secret(3), alpha))).toBeUndefined();
    expect(formation.prove(alpha, idBy(secret(1), beta))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        expect(formation.prove(alpha, toEndpointId(bytes))).toBeUndefined();
      }),
    );
  });

  test("in each step of a roll-over any two nodes know each other", () => {
    const steps = [
      new Formation([secret(1)]),
      new Formation([secret(1), secret(2)]),
      new Formation([secret(2), secret(1)]),
      new Formation([secret(2)]),
    ];
    for (const [i, before] of steps.slice(0, -1).entries()) {
      const after = steps[i + 1] ?? before;
      const idBefore = toEndpointId(before.endpointKey(alpha).publicKey);
      const idAfter = toEndpointId(after.endpointKey(alpha).publicKey);
      expect(before.prove(alpha, idAfter)).toBe(after.ownTag);
      expect(after.prove(alpha, idBefore)).toBe(before.ownTag);
    }
  });

  test("gives the same answers when its cache is full", () => {
    const formation = new Formation([secret(1)], 2);
    const names = Array.from({ length: 8 }, (_, i) => parseNodeName(`node-${i}`));
    for (const round of [0, 1]) {
      for (const name of names) {
        expect(formation.endpointIds(name)[0]?.id, `round ${round}`).toBe(idBy(secret(1), name));
      }
    }
  });

  test("derives a name once while it is remembered, and strangers don't push it out", () => {
    const formation = new Formation([secret(1)], 2);
    const first = formation.endpointIds(alpha);
    const strange = idBy(secret(9), alpha);
    for (let i = 0; i < 8; i += 1) formation.prove(parseNodeName(`stranger-${i}`), strange);
    expect(formation.endpointIds(alpha)).toBe(first);
  });

  test("counts a repeated secret once", () => {
    expect(new Formation([secret(1), secret(1)]).tags).toEqual([secretTag(secret(1))]);
  });

  test("takes four secrets and refuses none and five", () => {
    expect(new Formation([1, 2, 3, 4].map(secret)).tags).toHaveLength(4);
    expect(() => new Formation([])).toThrow(Fault);
    expect(() => new Formation([1, 2, 3, 4, 5].map(secret))).toThrow("1 to 4 secrets");
  });
});
