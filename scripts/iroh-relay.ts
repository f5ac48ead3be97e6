// bun scripts/iroh-relay.ts: builds the relay that some tests use, once per machine (needs cargo); prints its path.
import { ensureIrohRelay } from "./support/iroh-relay.ts";

console.log(await ensureIrohRelay());
