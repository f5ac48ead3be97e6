// BLAKE3 as the tree that it is (BLAKE3 specification, sections 2.1 to 2.6), cut at groups of chunks, so that a file
// is verified while it arrives, by hashes that its own hash vouches for:
//
//   hash of the content ─► sections, 4096 groups each ─► groups, 64 KiB each ─► 64 chunks of 1 KiB
//
// A list of sections or groups is taken only if it merges into the hash above it; a group only if it hashes to its
// entry. Both lists are at most 128 KiB for a file of 1 TiB.
import { _compress as compress } from "@noble/hashes/blake2.js";
import { assert } from "../base/assert.ts";
import { concatBytes, equalBytes } from "../base/bytes.ts";

export const HASH_BYTES = 32;
export const GROUP_BYTES = 64 * 1024;
export const SECTION_GROUPS = 4096;
const SECTION_BYTES = SECTION_GROUPS * GROUP_BYTES;
/** So many sections make a list as long as that of a section's groups. */
export const CONTENT_BYTES_MAX = 4096 * SECTION_BYTES;

const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
const BLOCK_WORDS = 16;
const GROUP_CHUNKS = GROUP_BYTES / CHUNK_BYTES;
const HASH_WORDS = HASH_BYTES / 4;
const ROUNDS = 7;

const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

/** The first 32 bits of the fractional parts of the square roots of the first eight primes, as in SHA-256. */
const IV = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);

/** Which word of the block each step of each round takes. */
const SCHEDULE = schedule();

function schedule(): Uint8Array {
  const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
  const rows = new Uint8Array(ROUNDS * BLOCK_WORDS);
  let row = permutation.map((_, index) => index);
  for (let round = 0; round < ROUNDS; round += 1) {
    rows.set(row, round * BLOCK_WORDS);
    row = permutation.map((from) => row[from] ?? 0);
  }
  return rows;
}

/** Words are little-endian whatever the machine. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
const scratch = new Uint8Array(GROUP_BYTES);
const scratchWords = new Uint32Array(scratch.buffer);

interface Block {
  /** Where its 16 words begin. */
  readonly at: number;
  readonly length: number;
  /** Number of the chunk; 0 for parents. */
  readonly counter: number;
  readonly flags: number;
}

/** `into` is the chaining value before and after. */
function compressBlock(into: Uint32Array, words: Uint32Array, block: Block): void {
  const [h0 = 0, h1 = 0, h2 = 0, h3 = 0, h4 = 0, h5 = 0, h6 = 0, h7 = 0] = into;
  const low = block.counter >>> 0;
  const high = Math.floor(block.counter / 2 ** 32);
  // biome-ignore format: the sixteen words of the state, as the specification has them.
  const v = compress(
    SCHEDULE, block.at, words, ROUNDS,
    h0, h1, h2, h3, h4, h5, h6, h7,
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, low, high, block.length, block.flags,
  );
  into[0] = v.v0 ^ v.v8;
  into[1] = v.v1 ^ v.v9;
  into[2] = v.v2 ^ v.v10;
  into[3] = v.v3 ^ v.v11;
  into[4] = v.v4 ^ v.v12;
  into[5] = v.v5 ^ v.v13;
  into[6] = v.v6 ^ v.v14;
  into[7] = v.v7 ^ v.v15;
}

function swapWords(words: Uint32Array, count: number): void {
  const view = new DataView(words.buffer, words.byteOffset);
  for (let index = 0; index < count; index += 1) words[index] = view.getUint32(index * 4, true);
}

/** Of a chunk in `scratch`; `length` is 0 only for the one chunk of empty content. */
function hashChunk(offset: number, length: number, chunk: { counter: number; flags: number }) {
  const value = IV.slice();
  const blocks = Math.max(1, Math.ceil(length / BLOCK_BYTES));
  for (let index = 0; index < blocks; index += 1) {
    const isLast = index === blocks - 1;
    compressBlock(value, scratchWords, {
      at: (offset + index * BLOCK_BYTES) / 4,
      length: isLast ? length - index * BLOCK_BYTES : BLOCK_BYTES,
      counter: chunk.counter,
      flags: (index === 0 ? CHUNK_START : 0) | (isLast ? CHUNK_END | chunk.flags : 0),
    });
  }
  return value;
}

/** The hash of neighbours: the left of two subtrees is the greatest full one that leaves something to the right. */
function mergeValues(values: readonly Uint32Array[], isRoot: boolean): Uint32Array {
  const [only] = values;
  if (values.length === 1 && only !== undefined) return only;
  const split = 2 ** (Math.ceil(Math.log2(values.length)) - 1);
  const block = new Uint32Array(BLOCK_WORDS);
  block.set(mergeValues(values.slice(0, split), false));
  block.set(mergeValues(values.slice(split), false), HASH_WORDS);
  const value = IV.slice();
  const flags = PARENT | (isRoot ? ROOT : 0);
  compressBlock(value, block, { at: 0, length: BLOCK_BYTES, counter: 0, flags });
  return value;
}

function toBytes(value: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(HASH_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of value.entries()) view.setUint32(index * 4, word, true);
  return bytes;
}

function toValue(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: HASH_WORDS }, (_, index) => view.getUint32(index * 4, true));
}

/** Of group number `index` of some content; `isRoot` when it is all of it. */
function hashGroup(
  bytes: Uint8Array,
  { index, isRoot }: { index: number; isRoot: boolean },
): Uint8Array {
  assert(bytes.length <= GROUP_BYTES, "a group is too long");
  scratch.set(bytes);
  scratch.fill(0, bytes.length);
  if (!IS_LITTLE_ENDIAN) swapWords(scratchWords, scratchWords.length);
  const chunks = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
  const values: Uint32Array[] = [];
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const offset = chunk * CHUNK_BYTES;
    const length = Math.min(CHUNK_BYTES, bytes.length - offset);
    const counter = index * GROUP_CHUNKS + chunk;
    values.push(hashChunk(offset, length, { counter, flags: isRoot && chunks === 1 ? ROOT : 0 }));
  }
  return toBytes(mergeValues(values, isRoot));
}

/** Of a list of hashes, one after the other, that cover neighbouring parts. */
function mergeHashes(hashes: Uint8Array, isRoot: boolean): Uint8Array {
  const count = hashes.length / HASH_BYTES;
  const values = Array.from({ length: count }, (_, index) => toValue(hashAt(hashes, index)));
  return toBytes(mergeValues(values, isRoot));
}

/** Entry `index` of a list of hashes. */
export function hashAt(hashes: Uint8Array, index: number): Uint8Array {
  const hash = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  assert(hash.length === HASH_BYTES, `there is no hash ${index} in the list`);
  return hash;
}

/** How content of a size is cut. */
export class Shape {
  readonly size: number;
  /** At least one: empty content is one empty group. */
  readonly groups: number;
  readonly sections: number;

  constructor(size: number) {
    assert(size >= 0 && size <= CONTENT_BYTES_MAX, `no content has ${size} bytes`);
    this.size = size;
    this.groups = Math.max(1, Math.ceil(size / GROUP_BYTES));
    this.sections = Math.ceil(this.groups / SECTION_GROUPS);
  }

  groupBytes(group: number): number {
    return Math.min(GROUP_BYTES, this.size - group * GROUP_BYTES);
  }

  sectionGroups(section: number): number {
    return Math.min(SECTION_GROUPS, this.groups - section * SECTION_GROUPS);
  }

  hashGroup(bytes: Uint8Array, group: number): Uint8Array {
    return hashGroup(bytes, { index: group, isRoot: this.groups === 1 });
  }

  /** The hash of a section, from those of its groups. */
  mergeSection(groups: Uint8Array): Uint8Array {
    return mergeHashes(groups, this.sections === 1);
  }

  /** The hash of the content, from those of its sections. */
  mergeContent(sections: Uint8Array): Uint8Array {
    return mergeHashes(sections, true);
  }

  /** Whether a stranger's list of the sections' hashes is the one of this content. */
  areSections(sections: Uint8Array, hash: Uint8Array): boolean {
    if (sections.length !== this.sections * HASH_BYTES) return false;
    return equalBytes(this.mergeContent(sections), hash);
  }

  /** Whether a stranger's list of hashes is that of this section's groups. */
  areGroups(groups: Uint8Array, section: number, hash: Uint8Array): boolean {
    if (groups.length !== this.sectionGroups(section) * HASH_BYTES) return false;
    return equalBytes(this.mergeSection(groups), hash);
  }
}

/** Hashes content group by group, and keeps what vouches for its parts. */
export class TreeBuilder {
  readonly #shape: Shape;
  readonly #sections: Uint8Array[] = [];
  #groups: Uint8Array[] = [];
  #count = 0;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  /** The next group; returns its hash. */
  add(bytes: Uint8Array): Uint8Array {
    const shape = this.#shape;
    assert(bytes.length === shape.groupBytes(this.#count), "a group has not its size");
    const hash = shape.hashGroup(bytes, this.#count);
    this.#groups.push(hash);
    this.#count += 1;
    if (this.#groups.length === SECTION_GROUPS || this.#count === shape.groups) {
      this.#sections.push(shape.mergeSection(concatBytes(this.#groups)));
      this.#groups = [];
    }
    return hash;
  }

  /** After the last group: the hash of the content, and those of its sections. */
  finish(): { readonly hash: Uint8Array; readonly sections: Uint8Array } {
    assert(this.#count === this.#shape.groups, "content ended before its last group");
    const sections = concatBytes(this.#sections);
    return { hash: this.#shape.mergeContent(sections), sections };
  }
}
