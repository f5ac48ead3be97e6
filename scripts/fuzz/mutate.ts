// Inputs that are nearly right: valid ones with a few things changed that decoders stumble over.
import type { Random } from "../model/random.ts";

/** What lengths, counts and tags are set to: ends of their ranges, and just beyond. */
const BYTES = [0, 1, 2, 0x20, 0x7f, 0x80, 0xfe, 0xff];
const WORDS = [0, 1, 0x7f, 0xff, 0x7fff, 0x8000, 0xffff];
const LONGS = [0, 1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
const LONGER = [0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

/** Inputs stay below this, but for valid ones that are longer. */
const BYTES_MAX = 4096;
const CHANGES_MAX = 4;

export interface Corpus {
  /** Valid inputs: the target accepts each as it is. */
  readonly seeds: readonly Uint8Array[];
  /** Words of the input's language, put in anywhere. */
  readonly tokens: readonly Uint8Array[];
}

/** One input: mostly a seed with up to four changes, now and then a seed as it is, or noise. */
export function makeInput(
  random: Random,
  corpus: Corpus,
): { readonly input: Uint8Array; readonly isValid: boolean } {
  const kind = random.below(100);
  if (kind < 5) return { input: noise(random, random.below(64)), isValid: false };
  const seed = random.pick(corpus.seeds);
  if (kind < 8) return { input: seed.slice(), isValid: true };
  let input: Uint8Array = seed.slice();
  for (let left = 1 + random.below(CHANGES_MAX); left > 0; left -= 1) {
    input = changed(random, input, corpus);
  }
  return { input, isValid: false };
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

type Change = (random: Random, input: Uint8Array, corpus: Corpus) => Uint8Array;

const flipBit: Change = (random, input) => {
  const at = random.below(input.length);
  input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
  return input;
};

const setByte: Change = (random, input) => {
  input[random.below(input.length)] = random.chance(50) ? random.pick(BYTES) : random.below(256);
  return input;
};

/** Overwrites what may be an integer of 2, 4 or 8 bytes, also with what is left of the input. */
const setNumber: Change = (random, input) => {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  const size = random.pick([2, 4, 8]);
  if (input.length < size) return input;
  const at = random.below(input.length - size + 1);
  const isLittle = random.chance(20);
  const left = Math.max(0, input.length - at - size + random.below(3) - 1);
  if (size === 8) view.setBigUint64(at, random.pick(LONGER), isLittle);
  else if (size === 4) {
    view.setUint32(at, random.chance(30) ? left : random.pick(LONGS), isLittle);
  } else view.setUint16(at, random.chance(30) ? left : random.pick(WORDS), isLittle);
  return input;
};

const truncate: Change = (random, input) => input.subarray(0, random.below(input.length + 1));

function spliced(input: Uint8Array, start: number, end: number, between: Uint8Array): Uint8Array {
  const result = new Uint8Array(start + between.length + input.length - end);
  result.set(input.subarray(0, start));
  result.set(between, start);
  result.set(input.subarray(end), start + between.length);
  return result;
}

function range(random: Random, length: number): [number, number] {
  const start = random.below(length + 1);
  const end = Math.min(length, start + random.below(32));
  return [start, end];
}

const remove: Change = (random, input) => {
  const [start, end] = range(random, input.length);
  return spliced(input, start, end, new Uint8Array());
};

const repeat: Change = (random, input) => {
  const [start, end] = range(random, input.length);
  const part = input.slice(start, end);
  const times = random.chance(10) ? 64 : 1 + random.below(3);
  const copies = new Uint8Array(part.length * times);
  for (let i = 0; i < times; i += 1) copies.set(part, i * part.length);
  return spliced(input, end, end, copies);
};

const insertNoise: Change = (random, input) => {
  const at = random.below(input.length + 1);
  return spliced(input, at, at, noise(random, 1 + random.below(8)));
};

const insertToken: Change = (random, input, { tokens }) => {
  if (tokens.length === 0) return setNumber(random, input, { seeds: [], tokens });
  const [start, end] = range(random, input.length);
  return spliced(input, start, random.chance(50) ? start : end, random.pick(tokens));
};

/** The beginning of one valid input, the end of another. */
const cross: Change = (random, input, { seeds }) => {
  const other = random.pick(seeds);
  const rest = other.subarray(random.below(other.length + 1));
  return spliced(input, random.below(input.length + 1), input.length, rest);
};

const CHANGES: readonly Change[] = [
  flipBit,
  setByte,
  setByte,
  setNumber,
  setNumber,
  truncate,
  remove,
  repeat,
  insertNoise,
  insertToken,
  insertToken,
  cross,
];

function changed(random: Random, input: Uint8Array, corpus: Corpus): Uint8Array {
  if (input.length === 0) return noise(random, 1 + random.below(16));
  const result = random.pick(CHANGES)(random, input, corpus);
  return result.length > Math.max(BYTES_MAX, input.length) ? result.slice(0, BYTES_MAX) : result;
}
