// The name of one database file, for resume tokens: random, given once.
import { toHex } from "../base/bytes.ts";
import type { Database } from "./database.ts";
import type { StoreOptions } from "./store-options.ts";

export function storeIdOf(database: Database, random: StoreOptions["random"]): string {
  const known = database.meta("store_id");
  if (known !== undefined) return known;
  const storeId = toHex(random(new Uint8Array(8)));
  database.setMeta("store_id", storeId);
  return storeId;
}
