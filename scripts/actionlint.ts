// bun scripts/actionlint.ts: builds the program that judges the workflows, once per machine (needs Go); prints its path.
import { actionlint } from "./support/go-program.ts";

console.log(await actionlint.ensure());
