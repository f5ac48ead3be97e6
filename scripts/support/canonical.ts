// One text per JSON value, whatever order its keys came in, so that documents can be compared by hash.

/** JSON with sorted keys and no blanks. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** SHA-256 over the canonical JSON of every value, one a line, sorted; independent of their order. */
export function hashOfValues(values: Iterable<unknown>): string {
  const lines = Array.from(values, canonicalJson).sort((a, b) => (a < b ? -1 : 1));
  const hash = new Bun.CryptoHasher("sha256");
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest("hex");
}
