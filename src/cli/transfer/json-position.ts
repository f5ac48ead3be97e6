// Where a text stops being JSON: the parser of the runtime does not tell.

const STRING =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must be escaped in JSON.
  /"(?:[^"\\\u{0}-\u{1f}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const BLANK = /[ \t\n\r]*/y;

/** Behind the match of `pattern` at `at`, or -1. */
function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

const blank = (text: string, at: number): number => Math.max(at, skip(BLANK, text, at));

function skipScalar(text: string, at: number): number {
  for (const pattern of [STRING, NUMBER, WORD]) {
    const end = skip(pattern, text, at);
    if (end > at) return end;
  }
  return -1;
}

/** Behind a name and its colon; `at` where there is none. */
function skipName(text: string, at: number): { readonly end: number; readonly isWrong: boolean } {
  const named = skip(STRING, text, at);
  if (named === -1) return { end: at, isWrong: true };
  const colon = blank(text, named);
  if (text[colon] !== ":") return { end: colon, isWrong: true };
  return { end: blank(text, colon + 1), isWrong: false };
}

/** Index of the first character that can't stand where it does; the length for a text that ends too early. */
export function jsonErrorAt(text: string): number {
  const open: ("{" | "[")[] = [];
  let at = blank(text, 0);
  // A value is to come; then what follows it.
  for (;;) {
    const first = text[at];
    if (first === "{" || first === "[") {
      at = blank(text, at + 1);
      const isEmpty = text[at] === (first === "{" ? "}" : "]");
      if (!isEmpty) {
        open.push(first);
        if (first === "[") continue;
        const name = skipName(text, at);
        if (name.isWrong) return name.end;
        at = name.end;
        continue;
      }
      at += 1;
    } else {
      const end = skipScalar(text, at);
      if (end === -1) return at;
      at = end;
    }
    at = blank(text, at);
    while (open.length > 0 && text[at] === (open.at(-1) === "{" ? "}" : "]")) {
      open.pop();
      at = blank(text, at + 1);
    }
    if (open.length === 0 || text[at] !== ",") return at;
    at = blank(text, at + 1);
    if (open.at(-1) !== "{") continue;
    const name = skipName(text, at);
    if (name.isWrong) return name.end;
    at = name.end;
  }
}
