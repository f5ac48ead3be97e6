// bun scripts/connectconformance.ts: builds the test of the RPC protocols, once per machine (needs Go); prints its path.
import { connectconformance } from "./support/go-program.ts";

console.log(await connectconformance.ensure());
