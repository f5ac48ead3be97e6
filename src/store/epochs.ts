// Which process start committed which sequence numbers: what tells a resume token of this database's own past
// from one that was given out after this copy of it was made, under numbers that are used here again.
//
//   meta "epochs" = crc32 (hex) " " id ":" first { "," id ":" first }     oldest first; `first` is exclusive
import type { Database } from "./database.ts";
import { toStorageFault } from "./storage-fault.ts";

interface Epoch {
  readonly id: string;
  /** The epoch's commits have greater numbers than this. */
  readonly first: number;
}

const META = "epochs";
/** Tokens of older starts than these are told to be lost. */
const EPOCHS_MAX = 256;
const ID_LENGTH = 16;

export class Epochs {
  readonly #database: Database;
  readonly #ownId: string;
  #epochs: Epoch[];
  #hasBegun = false;

  /** `storeId` names what was committed before the first epoch; `start` is this process start's random id. */
  constructor(database: Database, { storeId, start }: { storeId: string; start: string }) {
    this.#database = database;
    this.#ownId = start.slice(0, ID_LENGTH);
    const text = database.meta(META);
    // A damaged list is forgotten: every token is then told to be lost, which costs its client one full reading.
    this.#epochs = text === undefined ? [{ id: storeId, first: 0 }] : (parse(text) ?? []);
  }

  /**
   * Makes commits after `seq` those of this start; called before each. Durable before the first number is used,
   * and only then: a start that commits nothing writes nothing. Fault `storage_full`, `storage_failed`.
   */
  begin(seq: number): void {
    if (this.#hasBegun) return;
    const epochs = [...this.#epochs, { id: this.#ownId, first: seq }].slice(-EPOCHS_MAX);
    try {
      this.#database.setMeta(META, print(epochs));
    } catch (error) {
      throw toStorageFault(error, this.#database.path);
    }
    this.#epochs = epochs;
    this.#hasBegun = true;
  }

  /** The token of the moment after commit `seq`. */
  token(seq: number): string {
    return `${this.#ownerOf(seq)}-${seq}`;
  }

  /** The commit that a token names; undefined for one that this database did not make, or no longer knows. */
  seqOf(token: string): number | undefined {
    const [id, digits = "", ...more] = token.split("-");
    if (more.length > 0 || !/^\d{1,15}$/.test(digits)) return undefined;
    const seq = Number(digits);
    return this.#ownerOf(seq) === id ? seq : undefined;
  }

  #ownerOf(seq: number): string {
    const owner = this.#epochs.findLast(({ first }) => first < seq) ?? this.#epochs[0];
    return owner?.id ?? this.#ownId;
  }
}

function checksumOf(list: string): string {
  return Bun.hash.crc32(list).toString(16);
}

function print(epochs: readonly Epoch[]): string {
  const list = epochs.map(({ id, first }) => `${id}:${first}`).join(",");
  return `${checksumOf(list)} ${list}`;
}

function parse(text: string): Epoch[] | undefined {
  const [checksum, list = ""] = text.split(" ");
  if (checksum !== checksumOf(list)) return undefined;
  return list.split(",").map((entry) => {
    const [id = "", first = ""] = entry.split(":");
    return { id, first: Number(first) };
  });
}
