// Kinds of values: text becomes a checked value or a sentence, and a value becomes text again.
import { isIP } from "node:net";
import { fromBase64 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { parseLogFilter } from "../base/log.ts";
import { Secret } from "../base/secret.ts";
import { parseNodeName } from "../identity/peer.ts";

/** A value (with what is doubtful about it), or why there is none: a clause after "NAME: ". */
export type Read<T> =
  | { readonly ok: true; readonly value: T; readonly doubt?: string }
  | { readonly ok: false; readonly problem: string };

/** How a configuration file may write a value. */
export type FileType = "string" | "number" | "boolean" | "list";

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Kind<T> {
  /** What stands for the value in help, in capitals. */
  readonly placeholder: string;
  /** What a value must be, after "must be". */
  readonly rule: string;
  readonly fileTypes: readonly FileType[];
  readonly isSecret: boolean;
  readonly isList: boolean;
  readonly schema: JsonSchema;
  parse(text: string): Read<T>;
  /** Text that parses to the same value; `[secret]` for secrets. */
  print(value: T): string;
}

const SHOWN_LENGTH_MAX = 100;

/** The value as a problem shows it: quoted, shortened. */
function quote(text: string): string {
  return JSON.stringify(
    text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text,
  );
}

interface KindParts<T> {
  readonly placeholder: string;
  readonly rule: string;
  readonly fileTypes?: readonly FileType[];
  readonly schema?: JsonSchema;
  /** Undefined means that the rule is broken; a Fault's sentence says more. */
  readonly read: (text: string) => T | undefined;
  readonly print?: (value: T) => string;
}

/** A kind from a function that reads one value; the sentence about a bad one comes from the rule. */
export function kindOf<T>(parts: KindParts<T>): Kind<T> {
  return {
    placeholder: parts.placeholder,
    rule: parts.rule,
    fileTypes: parts.fileTypes ?? ["string"],
    isSecret: false,
    isList: false,
    schema: parts.schema ?? { type: "string" },
    print: parts.print ?? String,
    parse(text) {
      try {
        const value = parts.read(text.trim());
        if (value !== undefined) return { ok: true, value };
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        return { ok: false, problem: error.message };
      }
      return { ok: false, problem: `${quote(text)} must be ${parts.rule}` };
    },
  };
}

export const nodeName = kindOf({
  placeholder: "NAME",
  rule: "1 to 253 letters, digits, dots, underscores or hyphens",
  read: (text) => parseNodeName(text),
});

/** Text that matches `pattern` whole. */
export function matching(options: {
  readonly placeholder: string;
  readonly rule: string;
  readonly pattern: RegExp;
}): Kind<string> {
  const { placeholder, rule, pattern } = options;
  return kindOf({
    placeholder,
    rule,
    schema: { type: "string", pattern: pattern.source },
    read: (text) => (pattern.test(text) ? text : undefined),
  });
}

export const path = matching({
  placeholder: "PATH",
  rule: "a path",
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what a path may not contain.
  pattern: /^[^\u0000-\u001f\u007f]+$/,
});

/** A whole number from `min` to `max`. */
export function integer(options: {
  readonly placeholder: string;
  readonly min: number;
  readonly max: number;
}): Kind<number> {
  const { placeholder, min, max } = options;
  return kindOf({
    placeholder,
    rule: `a whole number from ${min} to ${max}`,
    fileTypes: ["number"],
    schema: { type: "integer", minimum: min, maximum: max },
    read(text) {
      const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  });
}

export function seconds(min: number, max: number): Kind<number> {
  return integer({ placeholder: "SECONDS", min, max });
}

const portNumber = integer({ placeholder: "PORT", min: 0, max: 65_535 });

/** A TCP or UDP port; 0 is any free one. */
export const port: Kind<number> = {
  ...portNumber,
  rule: "a port from 0 to 65535 (0: any free one)",
  parse(text) {
    const read = portNumber.parse(text);
    if (read.ok || !/^(?:tcp|udp):\/\//.test(text)) return read;
    const problem = `${quote(text)} is what Kubernetes puts in for a Service of this name; \
set enableServiceLinks: false in the pod, or rename the Service`;
    return { ok: false, problem };
  },
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Bytes: a number, or one with KiB, MiB or GiB behind it. */
export function size(min: number, max: number): Kind<number> {
  return kindOf({
    placeholder: "BYTES",
    rule: `a number of bytes from ${min} to ${max}, or one with KiB, MiB or GiB behind it`,
    fileTypes: ["number", "string"],
    schema: { type: ["integer", "string"] },
    read(text) {
      const match = /^([0-9]{1,15}) ?((?:[KMG]iB)?)$/.exec(text);
      const value = Number(match?.[1]) * (SIZE_UNITS[match?.[2] ?? ""] ?? Number.NaN);
      return value >= min && value <= max ? value : undefined;
    },
  });
}

export const boolean = kindOf({
  placeholder: "true|false",
  rule: "true or false",
  fileTypes: ["boolean"],
  schema: { type: "boolean" },
  read(text) {
    const lower = text.toLowerCase();
    if (lower === "true" || lower === "1") return true;
    return lower === "false" || lower === "0" ? false : undefined;
  },
});

/** One of some words; `aliases` are further spellings of them. */
export function oneOf<const T extends string>(
  words: readonly T[],
  aliases: Readonly<Record<string, T>> = {},
): Kind<T> {
  return kindOf({
    placeholder: words.join("|"),
    rule: words.length === 1 ? `${words[0]}` : `one of ${words.join(", ")}`,
    schema: { enum: [...words, ...Object.keys(aliases)] },
    read(text) {
      const alias = Object.hasOwn(aliases, text) ? aliases[text] : undefined;
      return words.find((word) => word === text) ?? alias;
    },
  });
}

export const ipAddress = kindOf({
  placeholder: "ADDRESS",
  rule: "an IPv4 or IPv6 address",
  read(text) {
    const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
    return isIP(bare) === 0 ? undefined : bare;
  },
});

/** RUST_LOG's directives; parts without sense are told and left out, as the older node does. */
export const logFilter: Kind<string> = {
  ...kindOf({ placeholder: "FILTER", rule: "a log filter", read: (text) => text }),
  parse(text) {
    const { ignored } = parseLogFilter(text);
    if (ignored.length === 0) return { ok: true, value: text };
    const doubt = `ignoring ${ignored.map(quote).join(", ")}, which is no level, target or target=level`;
    return { ok: true, value: text, doubt };
  },
};

export function httpUrl(placeholder: string): Kind<string> {
  return kindOf({
    placeholder,
    rule: "a URL that begins with http:// or https://",
    schema: { type: "string", format: "uri" },
    read(text) {
      const isHttp = /^https?:\/\//.test(text) && URL.canParse(text);
      return isHttp ? text : undefined;
    },
  });
}

/** A web origin as browsers send it, or `*` for all. */
export const origin = kindOf({
  placeholder: "ORIGIN",
  rule: "an origin such as https://host:port (no path), or *",
  read(text) {
    if (text === "*") return text;
    if (!URL.canParse(text) || !/^https?:\/\//.test(text)) return undefined;
    const parsed = new URL(text);
    return text === parsed.origin || text === `${parsed.origin}/` ? parsed.origin : undefined;
  },
});

const SECRET_BYTES_WISE = 32;

/** Strict standard base64 of at least (or exactly) so many bytes. */
export function secretBytes(bytes: {
  readonly min: number;
  readonly max: number;
}): Kind<Secret<Uint8Array>> {
  const { min, max } = bytes;
  const length = min === max ? `exactly ${min} bytes` : `at least ${min} bytes`;
  const rule = `${length} in standard base64 with padding; make one with: openssl rand -base64 32`;
  return {
    placeholder: "BASE64",
    rule,
    fileTypes: ["string"],
    isSecret: true,
    isList: false,
    schema: { type: "string" },
    print: () => "[secret]",
    parse(text) {
      let value: Uint8Array;
      try {
        value = fromBase64(text.trim());
      } catch {
        // The bytes-level sentence adds nothing to the rule, and a secret is never shown.
        return { ok: false, problem: `is not standard base64; it must be ${rule}` };
      }
      if (value.length < min || value.length > max) {
        return { ok: false, problem: `has ${value.length} bytes; it must be ${rule}` };
      }
      if (value.length >= SECRET_BYTES_WISE) return { ok: true, value: new Secret(value) };
      const doubt = `has only ${value.length} bytes; ${SECRET_BYTES_WISE} are safer`;
      return { ok: true, value: new Secret(value), doubt };
    },
  };
}

/** A value, or the word `off` where nothing given must not mean the same. */
export function orOff<T>(kind: Kind<T>): Kind<T | "off"> {
  return {
    ...kind,
    rule: `off, or ${kind.rule}`,
    print: (value) => (value === "off" ? "off" : kind.print(value)),
    parse: (text) => (text.trim() === "off" ? { ok: true, value: "off" } : kind.parse(text)),
  };
}

const TOKEN_LENGTH_WISE = 16;

/** A token as HTTP headers carry it. */
export const secretToken: Kind<Secret<string>> = {
  placeholder: "TOKEN",
  rule: "1 to 4096 visible ASCII characters without blanks",
  fileTypes: ["string"],
  isSecret: true,
  isList: false,
  schema: { type: "string" },
  print: () => "[secret]",
  parse(text) {
    const token = text.trim();
    if (!/^[!-~]{1,4096}$/.test(token)) {
      return { ok: false, problem: "must be 1 to 4096 visible ASCII characters without blanks" };
    }
    const value = new Secret(token);
    if (token.length >= TOKEN_LENGTH_WISE) return { ok: true, value };
    return { ok: true, value, doubt: `has only ${token.length} characters and can be guessed` };
  },
};

/** A comma list without empty items; `none` alone is the empty list. */
export function listOf<T>(item: Kind<T>, options: { itemsMax?: number } = {}): Kind<readonly T[]> {
  const { itemsMax = 1024 } = options;
  return {
    placeholder: `${item.placeholder},…`,
    rule: `a comma list; each item must be ${item.rule}`,
    fileTypes: ["list", "string"],
    isSecret: item.isSecret,
    isList: true,
    schema: { type: ["array", "string"], items: item.schema },
    print(values) {
      if (item.isSecret) return values.length === 0 ? "none" : "[secret]";
      return values.length === 0 ? "none" : values.map((value) => item.print(value)).join(",");
    },
    parse(text) {
      const values: T[] = [];
      const doubts: string[] = [];
      const problems: string[] = [];
      const parts = text.split(/[,\n]/).map((part) => part.trim());
      const items = text.trim() === "none" ? [] : parts.filter((part) => part !== "");
      for (const part of items) {
        const read = item.parse(part);
        if (!read.ok) problems.push(read.problem);
        else values.push(read.value);
        if (read.ok && read.doubt !== undefined) doubts.push(read.doubt);
      }
      if (items.length > itemsMax) problems.push(`has ${items.length} items, at most ${itemsMax}`);
      if (problems.length > 0) return { ok: false, problem: problems.join("; ") };
      return doubts.length === 0
        ? { ok: true, value: values }
        : { ok: true, value: values, doubt: doubts.join("; ") };
    },
  };
}
