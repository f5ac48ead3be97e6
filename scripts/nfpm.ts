// bun scripts/nfpm.ts: builds the program that makes the packages, once per machine (needs Go); prints its path.
import { ensureNfpm } from "./support/nfpm.ts";

console.log(await ensureNfpm());
