// What people write into the search field, as a filter of the API (docs/queries.md): comparisons joined by `and`, a
// filter as JSON, or the beginning of an id. Pure.

export type Search =
  | { readonly kind: "all" }
  /** The filter as JSON text. */
  | { readonly kind: "filter"; readonly json: string }
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "wrong"; readonly message: string };

const OPERATORS: Readonly<Record<string, string>> = {
  "=": "eq",
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
};

const CLAUSE = /^\s*(\S+?)\s*(==|!=|<=|>=|=|<|>)\s*("(?:[^"\\]|\\.)*"|\S+)\s*$/;
const EXISTS = /^\s*(\S+)\s+exists\s*$/i;

function literal(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A bare word is a text.
    return text;
  }
}

/** Not at an `and` within quotes. */
function clausesOf(text: string): string[] {
  const clauses: string[] = [];
  let start = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"|\s+and\s+/gi)) {
    if (match[0].startsWith('"')) continue;
    clauses.push(text.slice(start, match.index));
    start = match.index + match[0].length;
  }
  return [...clauses, text.slice(start)];
}

function parseClause(text: string): object | undefined {
  const exists = EXISTS.exec(text);
  if (exists !== null) return { field: exists[1], exists: true };
  const match = CLAUSE.exec(text);
  const operator = match === null ? undefined : OPERATORS[match[2] ?? ""];
  if (match === null || operator === undefined) return undefined;
  return { field: match[1], [operator]: literal(match[3] ?? "") };
}

export function parseSearch(text: string): Search {
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "all" };
  if (trimmed.startsWith("{")) return { kind: "filter", json: trimmed };
  const clauses = clausesOf(trimmed);
  const parsed = clauses.map(parseClause);
  const filters = parsed.filter((one) => one !== undefined);
  const [first] = filters;
  if (filters.length === parsed.length && first !== undefined) {
    const filter = filters.length === 1 ? first : { and: filters };
    return { kind: "filter", json: JSON.stringify(filter) };
  }
  const wrong = clauses[parsed.indexOf(undefined)] ?? "";
  if (clauses.length > 1 || /[<>=]/.test(trimmed)) {
    const shown = wrong.trim().slice(0, 60);
    return { kind: "wrong", message: `“${shown}” is no comparison such as speed > 12` };
  }
  return { kind: "prefix", prefix: trimmed };
}

/** The greatest text before all that begin with the prefix, in the order of ids. */
export function beforePrefix(prefix: string): string {
  const chars = [...prefix];
  const last = chars.pop()?.codePointAt(0) ?? 0;
  if (last === 0) return "";
  // The code points of half characters are none.
  const before = last - 1 >= 0xd800 && last - 1 <= 0xdfff ? 0xd7ff : last - 1;
  return `${chars.join("")}${String.fromCodePoint(before)}\u{10ffff}`;
}
