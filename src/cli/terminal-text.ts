// Text from peers and documents made harmless for a terminal: it may hold escape sequences, and letters that
// turn the direction of a line or hide what stands there.

/**
 * Control characters (also those of ISO 6429 above 127, which terminals obey in UTF-8 too), line ends of Unicode,
 * marks of direction (Unicode TR 36, section 2.10), what has no width but a meaning to a terminal, and halves of
 * surrogate pairs.
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal.
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Surrogate}]/gu;

/** One line of text, with a replacement character for everything that a terminal might obey. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, "\ufffd");
}

const escaped = (found: string): string =>
  Array.from(
    { length: found.length },
    (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");

/** JSON text of the same value in which nothing is left that a terminal might obey; line ends outside of strings stay. */
export function safeJson(json: string): string {
  return json.replace(UNSAFE, (found) => (found === "\n" ? found : escaped(found)));
}
