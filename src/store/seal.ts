// Encryption of what lies on disk, cell by cell: AES-256-GCM under keys that follow from the configured one.
//
//   cell  = header || ciphertext || tag [16]
//   header = marker [4] e5 45 4e 02 || key id [8] || salt [16] || u32 count          integers big-endian
//   key id = HKDF-SHA256(key, salt none, info "peat at rest, id", 8 bytes)
//   cell key = HKDF-SHA256(key, salt, info "peat at rest, cells", 32 bytes)
//   nonce = 0 [8] || u32 count
//   AAD = header || column || 0a || document key
//
// Each process start draws a salt and counts from 0, and draws another long before the count is at its end: no nonce
// comes twice under one cell key, also after a restored backup, and the configured key never meets the limit of
// random nonces. A cell that was moved to another column or document can't be opened. No cell in the clear begins
// with the marker: states and renderings begin with small tags, Automerge chunks with 85.
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { concatBytes, equalBytes, fromHex, fromUtf8, toHex, toUtf8 } from "../base/bytes.ts";
import type { Secret } from "../base/secret.ts";

export type EncryptionKey = Secret<Uint8Array>;

export interface SealOptions {
  /** Undefined: what is written lies in the clear. */
  readonly key: EncryptionKey | undefined;
  /** Keys that were in use before: what they sealed can be opened. */
  readonly previous: readonly EncryptionKey[];
}

export const NO_ENCRYPTION: SealOptions = { key: undefined, previous: [] };

/** Which cell it is: a value can't be taken from one place to another. */
export interface Place {
  readonly column: string;
  readonly key: string;
}

/** Name of a key, 16 hex digits: tells nothing of it. */
export type KeyId = string;

const MARKER = Uint8Array.of(0xe5, 0x45, 0x4e, 0x02);
const ID_BYTES = 8;
const SALT_BYTES = 16;
const HEADER_BYTES = MARKER.length + ID_BYTES + SALT_BYTES + 4;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const ALGORITHM = "aes-256-gcm";
/** Marker and key id. */
export const SEALED_HEAD_BYTES = MARKER.length + ID_BYTES;
/** By how much a sealed value is longer. */
export const SEALED_EXTRA_BYTES = HEADER_BYTES + TAG_BYTES;
/** Cells under one salt; GCM's own limit is far beyond. */
const COUNT_MAX = 2 ** 31;
/** Cell keys that are kept: one for each process start whose cells are being read. */
const CELL_KEYS_MAX = 256;

function derive(key: EncryptionKey, salt: Uint8Array, what: string, bytes: number) {
  return new Uint8Array(hkdfSync("sha256", key.expose(), salt, `peat at rest, ${what}`, bytes));
}

export function keyIdOf(key: EncryptionKey): KeyId {
  return toHex(derive(key, new Uint8Array(0), "id", ID_BYTES));
}

function isSealed(cell: Uint8Array): boolean {
  return equalBytes(cell.subarray(0, MARKER.length), MARKER);
}

/** The key that a cell is sealed by; its first bytes are enough. Undefined for one in the clear. */
export function sealedBy(cell: Uint8Array): KeyId | undefined {
  return isSealed(cell) ? idIn(cell) : undefined;
}

function aadOf(header: Uint8Array, { column, key }: Place): Uint8Array {
  return concatBytes([header, toUtf8(`${column}\n${key}`)]);
}

export class Seal {
  /** Of the key in use; undefined where there is none. */
  readonly keyId: KeyId | undefined;
  readonly #keys: ReadonlyMap<KeyId, EncryptionKey>;
  readonly #cellKeys = new Map<string, Uint8Array>();
  /** Marker, key id and salt of what is sealed now. */
  #prefix: Uint8Array | undefined;
  #cellKey = new Uint8Array(0);
  #count = 0;

  constructor({ key, previous }: SealOptions) {
    this.keyId = key === undefined ? undefined : keyIdOf(key);
    const keys = key === undefined ? previous : [key, ...previous];
    this.#keys = new Map(keys.map((one) => [keyIdOf(one), one]));
    this.#renew();
  }

  /** Of every key that is given. */
  get keyIds(): readonly KeyId[] {
    return [...this.#keys.keys()];
  }

  /** The value as it is to lie on disk. */
  close(value: Uint8Array, place: Place): Uint8Array {
    if (this.#prefix === undefined) return value;
    if (this.#count >= COUNT_MAX) this.#renew();
    const header = new Uint8Array(HEADER_BYTES);
    header.set(this.#prefix);
    new DataView(header.buffer).setUint32(HEADER_BYTES - 4, this.#count);
    this.#count += 1;
    const cipher = createCipheriv(ALGORITHM, this.#cellKey, nonceOf(header));
    cipher.setAAD(aadOf(header, place));
    return concatBytes([header, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
  }

  /**
   * The value of a cell, sealed or not. Undefined: it was changed (damage may change its type, too), moved, or sealed
   * by a key that is not here.
   */
  open(cell: unknown, place: Place): Uint8Array | undefined {
    if (!(cell instanceof Uint8Array)) return undefined;
    if (!isSealed(cell)) return cell;
    if (cell.length < SEALED_EXTRA_BYTES) return undefined;
    const header = cell.subarray(0, HEADER_BYTES);
    const cellKey = this.#cellKeyOf(header);
    if (cellKey === undefined) return undefined;
    const decipher = createDecipheriv(ALGORITHM, cellKey, nonceOf(header));
    decipher.setAAD(aadOf(header, place));
    decipher.setAuthTag(cell.subarray(-TAG_BYTES));
    try {
      const value = decipher.update(cell.subarray(HEADER_BYTES, -TAG_BYTES));
      decipher.final();
      return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    } catch {
      // The tag is wrong; there is no more to be known about it.
      return undefined;
    }
  }

  /** As close(), of a text: a text again where nothing is encrypted. */
  closeText(text: string, place: Place): string | Uint8Array {
    return this.#prefix === undefined ? text : this.close(toUtf8(text), place);
  }

  /** As open(), of a text. */
  openText(cell: unknown, place: Place): string | undefined {
    if (typeof cell === "string") return cell;
    const isBytes = cell instanceof Uint8Array && isSealed(cell);
    const value = isBytes ? this.open(cell, place) : undefined;
    return value === undefined ? undefined : fromUtf8(value);
  }

  /** Whether a cell lies as it would be written now; what is neither text nor bytes does. */
  isCurrent(cell: unknown): boolean {
    if (typeof cell === "string") return this.keyId === undefined;
    return cell instanceof Uint8Array ? sealedBy(cell) === this.keyId : true;
  }

  #renew(): void {
    const key = this.keyId === undefined ? undefined : this.#keys.get(this.keyId);
    if (key === undefined || this.keyId === undefined) return;
    const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
    this.#prefix = concatBytes([MARKER, fromHex(this.keyId), salt]);
    this.#cellKey = derive(key, salt, "cells", 32);
    this.#count = 0;
  }

  #cellKeyOf(header: Uint8Array): Uint8Array | undefined {
    const name = toHex(header.subarray(MARKER.length, -4));
    const known = this.#cellKeys.get(name);
    if (known !== undefined) return known;
    const key = this.#keys.get(idIn(header));
    if (key === undefined) return undefined;
    const cellKey = derive(key, header.subarray(-SALT_BYTES - 4, -4), "cells", 32);
    if (this.#cellKeys.size >= CELL_KEYS_MAX) this.#cellKeys.clear();
    this.#cellKeys.set(name, cellKey);
    return cellKey;
  }
}

function idIn(cell: Uint8Array): KeyId {
  return toHex(cell.subarray(MARKER.length, MARKER.length + ID_BYTES));
}

function nonceOf(header: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  nonce.set(header.subarray(-4), NONCE_BYTES - 4);
  return nonce;
}
