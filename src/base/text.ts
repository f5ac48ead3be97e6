// One order of texts for everything that nodes must agree on.

/** By UTF-16 code units, as RFC 8785 sorts keys; never by locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
