// The data set of the quickstart: every airport of airport-data-js, pinned and read from the disk, no network.
import { findAirports } from "airport-data-js";
import type { Document } from "./broker-api.ts";

export const AIRPORTS = {
  collection: "airports",
  source: "airport-data-js 4.0.0 on npm",
  licence: "CC BY 4.0",
} as const;

/** What the whole formation must be shown with: fewer would prove nothing. */
const RECORDS_MIN = 5000;

export interface Airport {
  readonly id: string;
  readonly document: Document;
}

/** All airports, each under its ICAO code where that is its own, else its code and row. */
export async function loadAirports(): Promise<Airport[]> {
  const records = await findAirports({});
  if (records.length < RECORDS_MIN) {
    throw new Error(`airport-data-js has ${records.length} records, fewer than ${RECORDS_MIN}`);
  }
  const taken = new Set<string>();
  return records.map((record, row) => {
    const code = String(record.icao || record.iata || "airport");
    const id = taken.has(code) ? `${code}-${row}` : code;
    taken.add(id);
    return { id, document: { ...record } as Document };
  });
}
