// bun scripts/nfpm.ts: builds the program that makes the packages, once per machine (needs Go); prints its path.
import { nfpm } from "./support/go-program.ts";

console.log(await nfpm.ensure());
