// Takes out of texts what must not leave the machine: secrets in every form in which they are written, and the ids of
// documents, each of which becomes a number of its own.
import { toHex, toUtf8 } from "../../base/bytes.ts";
import { Secret } from "../../base/secret.ts";
import type { Loaded } from "../../config/load.ts";
import { type Config, SETTING_NAMES, settingOf } from "../../config/settings.ts";

const REDACTED = "[redacted]";
/** Anything shorter stands in ordinary text by chance. */
const SECRET_CHARS_MIN = 6;
/** A shorter id is known by its collection only: alone it would be found in any number. */
const ID_CHARS_MIN = 8;
const HASH_CHARS = 12;

/** Words that stand in front of secrets of others, which this machine does not know. */
const CREDENTIALS = /\b(bearer +|basic +|(?:token|password|secret) *[=:] *)[^\s",;]{6,}/gi;
/** User and password of an address. */
const URL_CREDENTIALS = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi;
/** PEM, whatever it is called. */
const PRIVATE_KEYS =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** All ways in which the bytes of a secret may be written. */
function formsOf(bytes: Uint8Array): string[] {
  const hex = toHex(bytes);
  const base64 = Buffer.from(bytes).toString("base64");
  const forms = [
    base64,
    base64.replace(/=+$/, ""),
    Buffer.from(bytes).toString("base64url"),
    hex,
    hex.toUpperCase(),
    Buffer.from(bytes).toString("utf8"),
  ];
  return [...forms, ...forms.map((form) => encodeURIComponent(form))];
}

function passwordIn(text: string): string {
  return URL.canParse(text) ? decodeURIComponent(new URL(text).password) : "";
}

/** Every secret in the values of settings, whatever it is wrapped in. */
function* secretsIn(value: unknown): Generator<Uint8Array> {
  if (value instanceof Secret) {
    const inner: unknown = value.expose();
    if (typeof inner === "string") {
      // It may be a list, or an address with a password in it.
      for (const text of [inner, ...inner.split(/[,=]/), passwordIn(inner)]) {
        yield toUtf8(text);
        // A text may be the base64 of what is meant.
        yield Buffer.from(text, "base64");
      }
    } else if (inner instanceof Uint8Array) {
      yield inner;
      yield toUtf8(Buffer.from(inner).toString("base64"));
    }
  } else if (Array.isArray(value)) for (const one of value) yield* secretsIn(one);
}

export function secretsOf({ values }: Pick<Loaded, "values">): Uint8Array[] {
  const names = SETTING_NAMES.filter((name) => settingOf(name).kind.isSecret);
  return names.flatMap((name) => [...secretsIn((values as Partial<Config>)[name])]);
}

export interface RedactionOptions {
  readonly secrets: readonly Uint8Array[];
  /** Ids of documents stay as they are. */
  readonly keepsIds: boolean;
}

export class Redaction {
  readonly #secrets: readonly string[];
  readonly #keepsIds: boolean;
  readonly #stands = new Map<string, string>();
  /** Equal ids are equal in one bundle, and say nothing beyond it. */
  readonly #salt = crypto.getRandomValues(new Uint8Array(16));

  constructor({ secrets, keepsIds }: RedactionOptions) {
    const forms = secrets.flatMap(formsOf).filter((form) => form.length >= SECRET_CHARS_MIN);
    // The longest first: a part of one may be another.
    this.#secrets = [...new Set(forms)].sort((a, b) => b.length - a.length);
    this.#keepsIds = keepsIds;
  }

  /** From now on the id of this document, `collection:id` or `collection/id`, is replaced wherever it stands. */
  learn(name: string): void {
    const parts = /^(?<collection>[A-Za-z0-9][A-Za-z0-9._-]*)[:/](?<id>.+)$/su.exec(name)?.groups;
    const [collection, id] = [parts?.["collection"], parts?.["id"]];
    if (collection === undefined || id === undefined || this.#keepsIds) return;
    const hash = new Bun.CryptoHasher("sha256").update(this.#salt).update(id).digest("hex");
    const stand = `id-${hash.slice(0, HASH_CHARS)}`;
    for (const text of [id, JSON.stringify(id).slice(1, -1)]) {
      this.#stands.set(`${collection}:${text}`, `${collection}:${stand}`);
      this.#stands.set(`${collection}/${text}`, `${collection}/${stand}`);
      if (text.length >= ID_CHARS_MIN) this.#stands.set(text, stand);
    }
  }

  apply(text: string): string {
    let result = text.replace(PRIVATE_KEYS, REDACTED);
    for (const secret of this.#secrets) result = result.replaceAll(secret, REDACTED);
    result = result.replace(URL_CREDENTIALS, `$1${REDACTED}@`);
    result = result.replace(CREDENTIALS, `$1${REDACTED}`);
    return this.#keepsIds ? result : this.#withoutIds(result);
  }

  #withoutIds(text: string): string {
    let result = text;
    // The longest first: one may begin as another does.
    const stands = [...this.#stands].sort(([a], [b]) => b.length - a.length);
    for (const [found, stand] of stands) result = result.replaceAll(found, stand);
    return result;
  }
}
