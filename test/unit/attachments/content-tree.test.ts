// Content trees, against an implementation of BLAKE3 that knows nothing of groups and sections.
import { describe, expect, test } from "bun:test";
import { blake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import {
  GROUP_BYTES,
  HASH_BYTES,
  hashAt,
  SECTION_GROUPS,
  Shape,
  TreeBuilder,
} from "../../../src/attachments/content-tree.ts";
import { toHex } from "../../../src/base/bytes.ts";

function content(size: number, seed = 7): Uint8Array {
  let state = seed;
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[index] = state >>> 16;
  }
  return bytes;
}

function groupsOf(bytes: Uint8Array, shape: Shape): Uint8Array[] {
  return Array.from({ length: shape.groups }, (_, index) =>
    bytes.subarray(index * GROUP_BYTES, index * GROUP_BYTES + shape.groupBytes(index)),
  );
}

function build(bytes: Uint8Array) {
  const shape = new Shape(bytes.length);
  const builder = new TreeBuilder(shape);
  const hashes = new Uint8Array(shape.groups * HASH_BYTES);
  for (const [index, group] of groupsOf(bytes, shape).entries()) {
    hashes.set(builder.add(group), index * HASH_BYTES);
  }
  return { shape, hashes, ...builder.finish() };
}

const EDGES = [
  0,
  1,
  63,
  64,
  65,
  1023,
  1024,
  1025,
  2048,
  2049,
  3 * 1024,
  GROUP_BYTES - 1,
  GROUP_BYTES,
  GROUP_BYTES + 1,
  2 * GROUP_BYTES,
  3 * GROUP_BYTES + 5,
  5 * GROUP_BYTES,
];

describe("the hash of content", () => {
  test.each(EDGES)("of %i bytes is its BLAKE3", (size) => {
    const bytes = content(size);
    expect(toHex(build(bytes).hash)).toBe(toHex(blake3(bytes)));
  });

  test("is its BLAKE3, whatever it is", () => {
    const sizes = fc.integer({ min: 0, max: 4 * GROUP_BYTES });
    fc.assert(
      fc.property(sizes, fc.nat(), (size, seed) => {
        const bytes = content(size, seed);
        expect(toHex(build(bytes).hash)).toBe(toHex(blake3(bytes)));
      }),
      { numRuns: 20 },
    );
  });

  test("of the empty text is the one of the published vectors", () => {
    expect(toHex(build(new Uint8Array()).hash)).toBe(
      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    );
  });
});

describe("the lists of a tree", () => {
  const shape = new Shape((2 * SECTION_GROUPS + 3) * GROUP_BYTES);
  // Of two sections and a bit, made up: what merges them does not ask where hashes come from.
  const groups = content(shape.groups * HASH_BYTES);
  const part = (section: number) => {
    const from = section * SECTION_GROUPS * HASH_BYTES;
    return groups.slice(from, from + shape.sectionGroups(section) * HASH_BYTES);
  };
  const sections = new Uint8Array(shape.sections * HASH_BYTES);
  for (let index = 0; index < shape.sections; index += 1) {
    sections.set(shape.mergeSection(part(index)), index * HASH_BYTES);
  }

  test("of several sections vouch for each other", () => {
    expect(shape.sections).toBe(3);
    expect(shape.areSections(sections, shape.mergeContent(sections))).toBe(true);
    for (let index = 0; index < 3; index += 1) {
      expect(shape.areGroups(part(index), index, hashAt(sections, index))).toBe(true);
    }
  });

  test("are refused with one bit changed, cut, extended or of another section", () => {
    const hash = shape.mergeContent(sections);
    const flipped = sections.slice();
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    expect(shape.areSections(flipped, hash)).toBe(false);
    expect(shape.areSections(sections.subarray(HASH_BYTES), hash)).toBe(false);
    expect(shape.areSections(new Uint8Array(), hash)).toBe(false);
    expect(shape.areGroups(part(1), 0, hashAt(sections, 0))).toBe(false);
    expect(shape.areGroups(part(0).subarray(1), 0, hashAt(sections, 0))).toBe(false);
    expect(shape.areGroups(new Uint8Array(shape.groups), 0, hashAt(sections, 0))).toBe(false);
  });

  test("of one section are vouched for by the hash itself", () => {
    const tree = build(content(3 * GROUP_BYTES + 1));
    expect(tree.shape.sections).toBe(1);
    expect(tree.shape.areGroups(tree.hashes, 0, tree.hash)).toBe(true);
    expect(toHex(tree.sections)).toBe(toHex(tree.hash));
  });

  test("are not those of content of another size", () => {
    const tree = build(content(GROUP_BYTES));
    const longer = new Shape(2 * GROUP_BYTES);
    expect(tree.shape.areGroups(tree.hashes, 0, tree.hash)).toBe(true);
    expect(longer.areGroups(tree.hashes, 0, tree.hash)).toBe(false);
  });
});

test("a group is told from the same bytes in another place", () => {
  const shape = new Shape(3 * GROUP_BYTES);
  const bytes = content(GROUP_BYTES);
  expect(toHex(shape.hashGroup(bytes, 0))).not.toBe(toHex(shape.hashGroup(bytes, 1)));
});
