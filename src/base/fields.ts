// Parsed JSON or YAML that nobody has checked yet, one level at a time.

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of a mapping; of anything else, none. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {};
}
