// Who tells of a change that everybody should hear from its author. All who hear it could tell all others, and a mesh of N
// would name each change N² times; two are enough, and sums find what both of them miss.
import type { DocumentKey } from "../store/document-key.ts";

const WITNESSES = 2;

/** Of the author's neighbours, in the order in which they are witnesses of this document's changes: as many as matter. */
export function rankWitnesses(key: DocumentKey, neighbours: ReadonlySet<string>): string[] {
  const ranked: { name: string; rank: bigint }[] = [];
  // One more, for none is a witness to itself.
  for (const name of neighbours) {
    const rank = Bun.hash.xxHash64(`${key}\n${name}`);
    const place = ranked.findIndex((other) => rank < other.rank);
    ranked.splice(place === -1 ? ranked.length : place, 0, { name, rank });
    if (ranked.length > WITNESSES + 1) ranked.pop();
  }
  return ranked.map(({ name }) => name);
}

/** Whether `own` is to tell `peer`. */
export function isWitness(ranked: readonly string[], own: string, peer: string): boolean {
  return ranked
    .filter((name) => name !== peer)
    .slice(0, WITNESSES)
    .includes(own);
}
