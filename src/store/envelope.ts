// Documents that an older sidecar with a key has written: it encrypts the content before peers get it, so that a
// document is {"value":"ENC:v1:<base64>"} everywhere. With the same key they are read here as what they hold.
//
//   base64 = nonce [12] || AES-256-GCM ciphertext of the JSON text || tag [16]          no AAD, no key id
import { createDecipheriv } from "node:crypto";
import { fromBase64, fromUtf8 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { mergePatch, parseJsonObject, printJson } from "./json.ts";
import type { ContentOperation } from "./local-write.ts";
import type { EncryptionKey, SealOptions } from "./seal.ts";

const PREFIX = '{"value":"ENC:v1:';
const SUFFIX = '"}';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class Envelopes {
  readonly #keys: readonly EncryptionKey[];

  constructor({ key, previous }: SealOptions) {
    this.#keys = key === undefined ? previous : [key, ...previous];
  }

  /** The canonical JSON that readers see: of a document that no key here opens, or that holds no object, its own. */
  open(json: string): string {
    if (this.#keys.length === 0 || !json.startsWith(PREFIX) || !json.endsWith(SUFFIX)) return json;
    try {
      const bytes = fromBase64(json.slice(PREFIX.length, -SUFFIX.length));
      for (const key of this.#keys) {
        const text = decrypt(bytes, key);
        if (text !== undefined) return printJson(parseJsonObject(text));
      }
    } catch (error) {
      // No base64, no text, no object: a document like any other.
      if (!(error instanceof Fault)) throw error;
    }
    return json;
  }

  /** A PATCH of what readers see of `json`: as a PUT, where they see another text. */
  write(operation: ContentOperation, json: string | undefined): ContentOperation {
    if (operation.kind !== "patch" || json === undefined) return operation;
    const shown = this.open(json);
    if (shown === json) return operation;
    const patched = mergePatch(parseJsonObject(shown), parseJsonObject(operation.body));
    const body = printJson(patched);
    return body === shown ? { kind: "patch", body: "{}" } : { kind: "put", body };
  }
}

function decrypt(bytes: Uint8Array, key: EncryptionKey): string | undefined {
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key.expose(), nonce);
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
    decipher.final();
    return fromUtf8(text);
  } catch {
    // Another key's, or no text.
    return undefined;
  }
}
