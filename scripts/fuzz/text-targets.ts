// Every parser of text: keys, names, addresses, settings, the configuration file, HTTP headers, queries and bodies.
import { concatBytes, fromBase64, fromHex, fromUtf8, toUtf8 } from "../../src/base/bytes.ts";
import { Fault } from "../../src/base/faults.ts";
import { parseLogFilter } from "../../src/base/log.ts";
import { isKnown, parseConditions } from "../../src/broker/conditions.ts";
import { withId, withoutOwnId } from "../../src/broker/document-text.ts";
import {
  AFTER,
  COLLECTIONS,
  INCLUDE,
  LIMIT,
  parseEventQuery,
  REASON,
  readParameter,
  SINCE,
} from "../../src/broker/query.ts";
import { checkMediaType, WRITE_TYPES } from "../../src/broker/request-body.ts";
import { readConfigFile } from "../../src/config/file.ts";
import { loadSettings } from "../../src/config/load.ts";
import { SETTING_NAMES, settingOf } from "../../src/config/settings.ts";
import {
  parseEndpointId,
  parseNodeName,
  parsePeerAddress,
  printHostPort,
} from "../../src/identity/peer.ts";
import { documentKey, parseDocumentKey, splitKey } from "../../src/store/document-key.ts";
import { mergePatch, parseJson, printJson } from "../../src/store/json.ts";
import type { Corpus } from "./mutate.ts";
import { expectEqual, type FuzzTarget, Mismatch, type Outcome } from "./target.ts";

function corpusOf(seeds: readonly string[], tokens: readonly string[] = []): () => Corpus {
  return () => ({ seeds: seeds.map(toUtf8), tokens: tokens.map(toUtf8) });
}

/** A target of text: bytes that are no UTF-8 become U+FFFD, as in HTTP headers and arguments of processes. */
function textTarget(
  parts: Omit<FuzzTarget, "run"> & { read: (text: string, index: number) => Outcome },
): FuzzTarget {
  const decoder = new TextDecoder();
  const { read, ...rest } = parts;
  return { ...rest, run: (input, index) => read(decoder.decode(input), index) };
}

const UNICODE = ["\u0000", "\u007f", "ü", "𝄞", "\u2028", "\ufeff", "e\u0301", "\u202e"];

const keys = textTarget({
  name: "document key",
  share: 60,
  corpus: corpusOf(
    ["tracks:1", "a:b:c", "notes:ü/..%2f", `a:${"x".repeat(512)}`],
    [":", ...UNICODE],
  ),
  read(text) {
    const key = parseDocumentKey(text);
    const { collection, id } = splitKey(key);
    expectEqual([documentKey(collection, id), key], [text, text], "split and put together");
    return undefined;
  },
});

const names = textTarget({
  name: "name and address",
  share: 50,
  corpus: corpusOf(
    [
      "n@node-a@10.0.0.1:11204",
      `n@${"ab".repeat(32)}@[fe80::1%eth0]:1`,
      "nnode-a",
      `i${"0f".repeat(32)}`,
    ],
    ["@", ":", "[", "]", "65536", ...UNICODE],
  ),
  read(text) {
    const rest = text.slice(1);
    if (text.startsWith("i")) expectEqual(parseEndpointId(rest), rest.toLowerCase(), "an id");
    else if (text.startsWith("n@")) {
      const [host] = parsePeerAddress(text.slice(2)).hosts;
      if (host !== undefined && !text.endsWith(printHostPort(host))) {
        // Only a port with zeros before it is printed in another way.
        expectEqual(Number(text.slice(text.lastIndexOf(":") + 1)), host.port, "its port");
      }
    } else expectEqual(parseNodeName(rest), rest, "a name");
    return undefined;
  },
});

const encodings = textTarget({
  name: "base64 and hex",
  share: 20,
  corpus: corpusOf(["baGVsbG8gd29ybGQ=", "b", "h00ff", "hABCD"], ["=", "==", "\n", " ", "_", "-"]),
  read(text) {
    const rest = text.slice(1);
    if (text.startsWith("b")) expectEqual(fromBase64(rest).toBase64(), rest, "written again");
    else expectEqual(fromHex(rest).toHex(), rest.toLowerCase(), "written again");
    return undefined;
  },
});

const SETTING_TEXTS = [
  "true",
  "8081",
  "info,peat_mesh=debug",
  "16 MiB",
  "127.0.0.1",
  "mdns,static",
  "tracks=LatestOnly,notes=WindowedHistory:60",
  "node-a@10.0.0.1:11204,node-b@[::1]:1",
  "unix:///run/x.sock,tcp://127.0.0.1:50051",
  Buffer.alloc(32, 1).toString("base64"),
  "https://example.org",
  "none",
  "/var/lib/peat",
];

/** Each setting's default, behind a byte that chooses the setting. */
function settingSeeds(): Uint8Array[] {
  return SETTING_NAMES.flatMap((name, index) => {
    const { fallback } = settingOf(name);
    if (fallback.kind !== "text") return [];
    return [concatBytes([Uint8Array.of(index), toUtf8(fallback.texts["peat-sidecar"])])];
  });
}

/** The first byte chooses the setting. */
const kinds: FuzzTarget = {
  name: "setting kinds",
  share: 100,
  corpus() {
    const signs = [",", "=", ":", "none", "-1", "99999999999", "://", ...UNICODE];
    return { seeds: settingSeeds(), tokens: [...SETTING_TEXTS, ...signs].map(toUtf8) };
  },
  run(input) {
    const name = SETTING_NAMES[(input[0] ?? 0) % SETTING_NAMES.length];
    if (name === undefined) return "no setting";
    const { kind } = settingOf(name);
    const read = kind.parse(new TextDecoder().decode(input.subarray(1)));
    if (!read.ok) return "problem";
    const printed = kind.print(read.value);
    if (kind.isSecret) {
      if (printed !== "[secret]" && printed !== "none")
        throw new Mismatch(`${name} shows its secret`);
      return undefined;
    }
    const again = kind.parse(printed);
    if (!again.ok)
      throw new Mismatch(`${name}: ${printed} is printed, and refused: ${again.problem}`);
    expectEqual(kind.print(again.value), printed, `${name} printed again`);
    return undefined;
  },
};

const YAML = [
  "nodeName: node-a\nbrokerPort: 8081\n",
  'formationSecret: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="\nstaticPeers:\n  - a@b:1\n',
  "{nodeName: x, discovery: [mdns, static]}\n",
  "# nothing\n",
];

const configFile = textTarget({
  name: "configuration file",
  share: 12,
  corpus: corpusOf(YAML, ["&a", "*a", "- ", "  ", ": ", "|\n", "!!binary ", "<<: ", "---\n", "%"]),
  read(text, index) {
    const { problems } = readConfigFile(text);
    // Everything that a start does with it, now and then.
    if (index % 20 === 0) loadSettings({ ...LOAD, file: { path: "config.yaml", text } });
    return problems.length === 0 ? undefined : "problems";
  },
});

const LOAD = {
  program: "peat-sidecar",
  flags: new Map<string, string>(),
  environment: {},
  host: {
    hostName: () => "host",
    readText: () => "",
    isWritableDirectory: () => false,
  },
} as const;

const logFilters = textTarget({
  name: "log filter",
  share: 15,
  corpus: corpusOf(
    ["info", "info,peat_mesh=debug", "peat_mesh::storage=trace,off"],
    [",", "=", "::"],
  ),
  read(text) {
    parseLogFilter(text);
    return undefined;
  },
});

const JSON_SEEDS = [
  '{"a":1,"b":[1.0,-0,1e308,9007199254740993],"c":{"d":null,"e":"\\u00fc\\ud834\\udd1e"},"f":true}',
  '{"lat":52.5,"lon":13.4,"name":"x"}',
  "[]",
  "null",
  '"text"',
  '{"constructor":2,"toString":{"x":1}}',
];
const JSON_TOKENS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\\u0000",
  "\\ud800",
  "1e999",
  "-0",
  "null",
].concat([
  '"__proto__":',
  "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
  '{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":',
  "18446744073709551616",
]);

const json: FuzzTarget = {
  name: "JSON body",
  share: 120,
  corpus: corpusOf(JSON_SEEDS, [...JSON_TOKENS, ...UNICODE]),
  run(input) {
    const text = fromUtf8(input);
    const value = parseJson(text);
    const printed = printJson(value);
    expectEqual(printJson(parseJson(printed)), printed, "printed again");
    expectEqual(Object.getPrototypeOf({}).x, undefined, "a field of every object");
    const patched = printJson(mergePatch(parseJson('{"a":1,"c":{"d":2}}'), value));
    expectEqual(printJson(mergePatch(parseJson(patched), value)), patched, "patched twice");
    return undefined;
  },
};

/** Readers get `_id` spliced into the text, and send it back: nothing else may change. */
const ids = textTarget({
  name: "own _id in a body",
  share: 50,
  corpus: corpusOf(
    ['{"_id":"x","a":1}', '{"a":1, "_id" : "x"}', '{"_id":"y","_id":"x"}', "{}"],
    ['"_id":"x"', '"_id":', ...JSON_TOKENS],
  ),
  read(text) {
    const stripped = withoutOwnId(text, "x");
    const printed = objectText(text);
    if (printed === undefined) {
      expectEqual(objectText(stripped), undefined, "what was no object has become one");
      return "no object";
    }
    if (printed.includes('"_id"')) return undefined;
    expectEqual(stripped, text, "a body without _id");
    expectEqual(objectText(withoutOwnId(withId(printed, "x"), "x")), printed, "put in, taken out");
    return undefined;
  },
});

/** Canonical JSON if the text is an object. */
function objectText(text: string): string | undefined {
  try {
    const printed = printJson(parseJson(text));
    return printed.startsWith("{") ? printed : undefined;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

const HASH = "ab".repeat(16);

const headers = textTarget({
  name: "HTTP headers",
  share: 40,
  corpus: corpusOf(
    [`c"${HASH}"`, "c*", `cW/"x", "${HASH}" ,"y"`, "mapplication/json; charset=utf-8"],
    ['"', "W/", ",", "*", ";charset=", "application/merge-patch+json", "gzip", " ", "\t"],
  ),
  read(text) {
    const value = text.slice(1).replace(/[^\t\x20-\x7e\x80-\xff]/g, "?");
    if (text.startsWith("m")) {
      checkMediaType(new Headers({ "content-type": value }), WRITE_TYPES.PATCH);
      return undefined;
    }
    isKnown(parseConditions(new Headers({ "if-match": value, "if-none-match": value })), HASH);
    return undefined;
  },
});

const queries = textTarget({
  name: "HTTP query",
  share: 60,
  corpus: corpusOf(
    [
      "limit=10&after=x",
      "collections=tracks,notes&since=abc-1&include=document,position",
      "reason=old",
    ],
    ["&", "=", "limit=", "since=", "include=", "collections=", "%00", "%ff", "10001", ...UNICODE],
  ),
  read(text) {
    const query = Object.fromEntries(new URLSearchParams(text));
    const limit = readParameter(query, LIMIT);
    if (limit !== undefined && !(limit >= 1 && limit <= 10_000))
      throw new Mismatch(`limit ${limit}`);
    for (const parameter of [AFTER, REASON]) readParameter(query, parameter);
    readParameter(query, SINCE);
    for (const parameter of [COLLECTIONS, INCLUDE]) readParameter(query, parameter);
    parseEventQuery(query);
    return undefined;
  },
});

export const TEXT_TARGETS: readonly FuzzTarget[] = [
  keys,
  names,
  encodings,
  kinds,
  configFile,
  logFilters,
  json,
  ids,
  headers,
  queries,
];
