// The field `_id` of documents as the broker shows them, put in and taken out as text: a document is not
// parsed here, so its numbers stay as they are.

/** A field of the root object: from the quote of its name to the end of its value. */
interface RootField {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const BLANK = /[ \t\n\r]*/y;
const SCALAR = /[^,}\] \t\n\r]+/y;
const STRUCTURE = /["{}[\]]/g;

function skipBlank(text: string, at: number): number {
  BLANK.lastIndex = at;
  BLANK.test(text);
  return BLANK.lastIndex;
}

/** Behind the closing quote, or -1. */
function endOfString(text: string, at: number): number {
  let quote = text.indexOf('"', at + 1);
  while (quote >= 0) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
  return -1;
}

/** Behind the closing bracket of what opens at `at`, or -1. */
function endOfNested(text: string, at: number): number {
  let depth = 0;
  STRUCTURE.lastIndex = at;
  for (let match = STRUCTURE.exec(text); match !== null; match = STRUCTURE.exec(text)) {
    if (match[0] === '"') {
      const end = endOfString(text, match.index);
      if (end < 0) return -1;
      STRUCTURE.lastIndex = end;
    } else depth += match[0] === "{" || match[0] === "[" ? 1 : -1;
    if (depth === 0) return STRUCTURE.lastIndex;
  }
  return -1;
}

/** Behind the value at `at`, or -1. */
function endOfValue(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return endOfString(text, at);
  if (first === "{" || first === "[") return endOfNested(text, at);
  SCALAR.lastIndex = at;
  return SCALAR.test(text) ? SCALAR.lastIndex : -1;
}

function decodeName(quoted: string): string | undefined {
  if (!quoted.includes("\\")) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    // Not a JSON string: the text is no object, and whoever parses it will say so.
    return undefined;
  }
}

function readField(text: string, start: number): RootField | undefined {
  if (text[start] !== '"') return undefined;
  const nameEnd = endOfString(text, start);
  if (nameEnd < 0) return undefined;
  const colon = skipBlank(text, nameEnd);
  if (text[colon] !== ":") return undefined;
  const end = endOfValue(text, skipBlank(text, colon + 1));
  const name = decodeName(text.slice(start, nameEnd));
  return end < 0 || name === undefined ? undefined : { name, start, end };
}

/** The fields of the root object in their order, each read when asked for; true at the end if well-formed. */
function* rootFields(text: string): Generator<RootField, boolean> {
  let at = skipBlank(text, 0);
  if (text[at] !== "{") return false;
  at = skipBlank(text, at + 1);
  if (text[at] === "}") return skipBlank(text, at + 1) === text.length;
  while (true) {
    const field = readField(text, at);
    if (field === undefined) return false;
    yield field;
    at = skipBlank(text, field.end);
    if (text[at] === "}") return skipBlank(text, at + 1) === text.length;
    if (text[at] !== ",") return false;
    at = skipBlank(text, at + 1);
  }
}

/**
 * Canonical JSON of an object with `_id` set to `id`, over a field of that name which the document has.
 * Names are sorted in canonical JSON, so that little is read where they begin with small letters.
 */
export function withId(json: string, id: string): string {
  const pair = `"_id":${JSON.stringify(id)}`;
  let lastEnd = 0;
  for (const { name, start, end } of rootFields(json)) {
    if (name === "_id") return `${json.slice(0, start)}${pair}${json.slice(end)}`;
    if (name > "_id") return `${json.slice(0, start)}${pair},${json.slice(start)}`;
    lastEnd = end;
  }
  return lastEnd === 0 ? `{${pair}}` : `${json.slice(0, lastEnd)},${pair}${json.slice(lastEnd)}`;
}

/**
 * A JSON text as received, without the `_id` that this broker put into what the client had read. An `_id` of
 * another value is the document's own and stays; so does everything in a text that is no object.
 */
export function withoutOwnId(body: string, id: string): string {
  if (!body.includes('"_id"')) return body;
  const fields: RootField[] = [];
  const scan = rootFields(body);
  let next = scan.next();
  while (next.done !== true) {
    fields.push(next.value);
    next = scan.next();
  }
  const index = fields.findIndex(({ name }) => name === "_id");
  const found = fields[index];
  const isOne = fields.findLastIndex(({ name }) => name === "_id") === index;
  if (!next.value || found === undefined || !isOne || !isValue(body, found, id)) return body;
  const before = fields[index - 1];
  const after = fields[index + 1];
  if (before !== undefined) return body.slice(0, before.end) + body.slice(found.end);
  return body.slice(0, found.start) + body.slice(after?.start ?? found.end);
}

function isValue(body: string, { start, end }: RootField, id: string): boolean {
  try {
    return JSON.parse(`{${body.slice(start, end)}}`)["_id"] === id;
  } catch {
    // Not JSON: whoever parses the whole will say what is wrong with it.
    return false;
  }
}
