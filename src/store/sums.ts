// The reconciliation tree: for every prefix of SHA-256(key), how many documents there are and a sum over
// their states. Two stores with equal root sums hold equal documents; unequal ones find the difference by
// descending. Derived from the rows at start and kept with every commit, so it can't drift from them.

import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter, toHex } from "../base/bytes.ts";

/** Levels below the root, 4 bits each: 4,096 leaves. */
export const DEPTH = 3;
export const FAN_OUT = 16;
const LEAVES = FAN_OUT ** DEPTH;
/** Index of the first node of each level in one array. */
const LEVEL_START = [0, 1, 17, 273];
const NODES = 273 + LEAVES;
const WORDS = 4;

/** A prefix of SHA-256(key): `depth` times 4 bits, as a number. The root is depth 0, index 0. */
export interface Prefix {
  readonly depth: number;
  readonly index: number;
}

export interface Sum {
  readonly count: number;
  /** Sum modulo 2^128 of the documents' parts, 32 hex digits. */
  readonly sum: string;
}

export const ROOT: Prefix = { depth: 0, index: 0 };

function sha256(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}

/** The leaf that a key belongs to. */
export function bucketOf(key: string): number {
  const digest = sha256(key);
  return ((digest[0] ?? 0) << 4) | ((digest[1] ?? 0) >> 4);
}

/** What one document adds to the sums. */
function partOf(key: string, hash: string): Uint32Array {
  const reader = new ByteReader(sha256(`${key}\n${hash}`));
  return Uint32Array.of(reader.u32(), reader.u32(), reader.u32(), reader.u32());
}

export function childrenOf(prefix: Prefix): Prefix[] {
  return Array.from({ length: FAN_OUT }, (_, i) => ({
    depth: prefix.depth + 1,
    index: prefix.index * FAN_OUT + i,
  }));
}

/** First and last leaf below a prefix, both included. */
export function bucketsBelow({ depth, index }: Prefix): { first: number; last: number } {
  const width = FAN_OUT ** (DEPTH - depth);
  return { first: index * width, last: (index + 1) * width - 1 };
}

export class Sums {
  readonly #counts = new Uint32Array(NODES);
  readonly #sums = new Uint32Array(NODES * WORDS);

  add(bucket: number, key: string, hash: string): void {
    this.#change(bucket, partOf(key, hash), 1);
  }

  remove(bucket: number, key: string, hash: string): void {
    this.#change(bucket, partOf(key, hash), -1);
  }

  clear(): void {
    this.#counts.fill(0);
    this.#sums.fill(0);
  }

  /** `without`: sums over some of these documents each, no document in two of them, which are left out. */
  at(prefix: Prefix, without: readonly Sums[] = []): Sum {
    const node = nodeOf(prefix);
    const words = Array.from({ length: WORDS }, (_, i) => this.#sums[node * WORDS + i] ?? 0);
    let count = this.#counts[node] ?? 0;
    for (const left of without) {
      count -= left.#counts[node] ?? 0;
      let borrow = 0;
      for (let i = WORDS - 1; i >= 0; i -= 1) {
        const rest = (words[i] ?? 0) - (left.#sums[node * WORDS + i] ?? 0) - borrow;
        words[i] = rest >>> 0;
        borrow = rest < 0 ? 1 : 0;
      }
    }
    const writer = new ByteWriter(16);
    for (const word of words) writer.u32(word);
    return { count, sum: toHex(writer.finish()) };
  }

  #change(bucket: number, part: Uint32Array, sign: 1 | -1): void {
    for (let depth = 0; depth <= DEPTH; depth += 1) {
      const node = nodeOf({ depth, index: Math.floor(bucket / FAN_OUT ** (DEPTH - depth)) });
      this.#counts[node] = (this.#counts[node] ?? 0) + sign;
      let carry = 0;
      for (let i = WORDS - 1; i >= 0; i -= 1) {
        const at = node * WORDS + i;
        const total = (this.#sums[at] ?? 0) + sign * (part[i] ?? 0) + carry;
        this.#sums[at] = total >>> 0;
        carry = Math.floor(total / 2 ** 32);
      }
    }
  }
}

function nodeOf({ depth, index }: Prefix): number {
  const start = LEVEL_START[depth];
  assert(start !== undefined && index >= 0 && index < FAN_OUT ** depth, "prefix is in the tree");
  return start + index;
}
