// Query parameters: one row each, from which both the parsing and the published description come.
import { Fault } from "../base/faults.ts";
import { LOG_LEVELS, type LogLevelName } from "../base/log-ring.ts";
import { parseCollection } from "../store/document-key.ts";
import type { DocumentOrder } from "../store/document-order.ts";
import type { DocumentQuery } from "../store/document-query.ts";
import { FILTER_CHARS_MAX, parseFilter, parseOrder } from "./filter.ts";

export type Query = Readonly<Record<string, unknown>>;

interface Parameter<T> {
  readonly name: string;
  readonly help: string;
  readonly schema: Readonly<Record<string, unknown>>;
  /** Undefined: the text makes no sense. */
  readonly parse: (text: string) => T | undefined;
  /** What the value must be, to end a sentence. */
  readonly rule: string;
}

export const LIST_LIMIT = { fallback: 1000, max: 10_000 } as const;
const COLLECTIONS_MAX = 256;

function parseLimit(text: string): number | undefined {
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= LIST_LIMIT.max ? limit : undefined;
}

function parseCollections(text: string): string[] | undefined {
  const names = text.split(",").map((name) => name.trim());
  return names.length > COLLECTIONS_MAX ? undefined : names.map(parseCollection);
}

const INCLUDABLE = ["document", "position"] as const;
type Includable = (typeof INCLUDABLE)[number];

function parseInclude(text: string): Includable[] | undefined {
  const wanted = text.split(",").map((part) => INCLUDABLE.find((name) => name === part.trim()));
  return wanted.every((part) => part !== undefined) ? wanted : undefined;
}

export const LIMIT: Parameter<number> = {
  name: "limit",
  help: "Most documents in one answer; it may hold fewer when they are large.",
  schema: { type: "integer", minimum: 1, maximum: LIST_LIMIT.max, default: LIST_LIMIT.fallback },
  parse: parseLimit,
  rule: `an integer from 1 to ${LIST_LIMIT.max}`,
};

export const AFTER: Parameter<string> = {
  name: "after",
  help: "Only what comes after this place: `next` of the page before, with the same order. Without an order it is the id of a document, which need not exist.",
  schema: { type: "string" },
  parse: (text) => text,
  rule: "`next` of the page before",
};

const FILTER_HELP = `As JSON, at most ${FILTER_CHARS_MAX} characters: {"field":"position.lat","gt":48,"le":49}, {"and":[…]}, {"or":[…]}, {"not":…}. Operators: eq, ne, lt, le, gt, ge, in (a list), exists (true or false). A path such as readings[0].value leads to a field; a backslash makes . [ ] part of a name.`;

export const FILTER: Parameter<DocumentQuery> = {
  name: "filter",
  help: `Only documents of which this is true. ${FILTER_HELP}`,
  schema: { type: "string", contentMediaType: "application/json", maxLength: FILTER_CHARS_MAX },
  parse: parseFilter,
  rule: "a filter",
};

export const EVENT_FILTER: Parameter<DocumentQuery> = {
  ...FILTER,
  help: `Of documents that are created or updated, only those of which this is true; deletes are always told. ${FILTER_HELP}`,
};

export const ORDER: Parameter<DocumentOrder> = {
  name: "order",
  help: "Comma list of paths of fields, each with - before it for descending; documents that are equal in all of them come by id. Nothing there < null < false < true < numbers < texts (by the UTF-8 of their first 128 characters) < lists and objects.",
  schema: { type: "string", examples: ["-confidence,position.lat"] },
  parse: parseOrder,
  rule: "a list of paths",
};

const ASIDE_LIMIT_MAX = 1000;

export const ASIDE_LIMIT: Parameter<number> = {
  name: "limit",
  help: "Most entries in one answer.",
  schema: { type: "integer", minimum: 1, maximum: ASIDE_LIMIT_MAX, default: 100 },
  parse: (text) => {
    const limit = parseLimit(text);
    return limit === undefined || limit > ASIDE_LIMIT_MAX ? undefined : limit;
  },
  rule: `an integer from 1 to ${ASIDE_LIMIT_MAX}`,
};

const HISTORY_LIMIT_MAX = 200;

export const HISTORY_LIMIT: Parameter<number> = {
  name: "limit",
  help: "Most changes in the answer; it may hold fewer when they are costly to read.",
  schema: { type: "integer", minimum: 1, maximum: HISTORY_LIMIT_MAX, default: 20 },
  parse: (text) => {
    const limit = parseLimit(text);
    return limit === undefined || limit > HISTORY_LIMIT_MAX ? undefined : limit;
  },
  rule: `an integer from 1 to ${HISTORY_LIMIT_MAX}`,
};

export const AFTER_NUMBER: Parameter<number> = {
  name: "after",
  help: "Only entries whose numbers are greater than this one: `next` of the page before.",
  schema: { type: "integer", minimum: 0 },
  parse: (text) => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined),
  rule: "the number of an entry",
};

const WHYS = ["deleted", "orphan", "damaged"] as const;

export const WHY: Parameter<(typeof WHYS)[number]> = {
  name: "why",
  help: "`deleted`: of deleted documents that can be restored. `orphan`: of documents that this node's peers no longer knew when it came back after a long time. `damaged`: what the disk changed.",
  schema: { enum: [...WHYS], default: "deleted" },
  parse: (text) => WHYS.find((why) => why === text),
  rule: `one of: ${WHYS.join(", ")}`,
};

export const ATTACHMENT_LIMIT: Parameter<number> = {
  ...ASIDE_LIMIT,
  help: "Most distributions in one answer.",
};

export const BUNDLE: Parameter<string> = {
  name: "bundle",
  help: "Only those that were sent together, under this id.",
  schema: { type: "string", maxLength: 256 },
  parse: (text) => (text.length <= 256 ? text : undefined),
  rule: "the id of a bundle",
};

export const DIFF: Parameter<boolean> = {
  name: "diff",
  help: "true: also what would be otherwise if the node read its settings now.",
  schema: { type: "boolean", default: false },
  parse: (text) => (text === "true" || text === "false" ? text === "true" : undefined),
  rule: "true or false",
};

export const LOG_LIMIT: Parameter<number> = {
  ...ASIDE_LIMIT,
  help: "Most lines in one answer.",
};

export const LOG_AFTER: Parameter<number> = {
  ...AFTER_NUMBER,
  help: "Only lines that came after the one of this number, oldest first: `next` of the answer before. Without it, the newest lines.",
  rule: "the number of a line",
};

export const LOG_LEVEL: Parameter<LogLevelName> = {
  name: "level",
  help: "The least grave that is wanted.",
  schema: { enum: [...LOG_LEVELS], default: "trace" },
  parse: (text) => LOG_LEVELS.find((level) => level === text.toLowerCase()),
  rule: `one of: ${LOG_LEVELS.join(", ")}`,
};

export const REASON: Parameter<string> = {
  name: "reason",
  help: "Why the document is deleted; kept with its tombstone.",
  schema: { type: "string", maxLength: 256 },
  parse: (text) => text,
  rule: "a text",
};

export const COLLECTIONS: Parameter<readonly string[]> = {
  name: "collections",
  help: "Comma list of the collections whose changes are told; all of them without it.",
  schema: { type: "string" },
  parse: parseCollections,
  rule: `a comma list of at most ${COLLECTIONS_MAX} collections`,
};

export const SINCE: Parameter<string> = {
  name: "since",
  help: "Token of an earlier event: what changed after it is told first.",
  schema: { type: "string" },
  parse: (text) => (/^[!-~]{1,200}$/.test(text) ? text : undefined),
  rule: "the token of an earlier event",
};

export const INCLUDE: Parameter<readonly Includable[]> = {
  name: "include",
  help: "Comma list: `document` adds the document to each event, `position` only begins with a token.",
  schema: { type: "string", examples: [...INCLUDABLE] },
  parse: parseInclude,
  rule: `a comma list of: ${INCLUDABLE.join(", ")}`,
};

/** The parameter's value, undefined when it is not given. Fault `invalid_argument` says what it must be. */
export function readParameter<T>(query: Query, parameter: Parameter<T>): T | undefined {
  const text = query[parameter.name];
  if (text === undefined) return undefined;
  const value = typeof text === "string" ? parameter.parse(text) : undefined;
  if (value !== undefined) return value;
  throw new Fault(
    "invalid_argument",
    `query parameter ${parameter.name} must be ${parameter.rule}, found ${JSON.stringify(text).slice(0, 80)}`,
  );
}

/** What a WebSocket client asked for. */
export interface EventQuery {
  readonly collections?: readonly string[];
  readonly since?: string;
  readonly filter?: DocumentQuery;
  readonly withDocuments: boolean;
  readonly withPosition: boolean;
}

/** Fault `invalid_argument` as readParameter. */
export function parseEventQuery(query: Query): EventQuery {
  const collections = readParameter(query, COLLECTIONS);
  const since = readParameter(query, SINCE);
  const filter = readParameter(query, EVENT_FILTER);
  const include = readParameter(query, INCLUDE);
  return {
    ...(collections === undefined ? {} : { collections }),
    ...(since === undefined ? {} : { since }),
    ...(filter === undefined ? {} : { filter }),
    withDocuments: include?.includes("document") ?? false,
    withPosition: since !== undefined || include !== undefined,
  };
}
