// bun scripts/debian-roots.ts: makes the Debian systems that the tests of the packages boot, once per machine (needs
// mmdebstrap and root); prints their folders.
import { DEBIAN_ROOT_NAMES, ensureDebianRoot } from "./support/debian-roots.ts";

for (const name of DEBIAN_ROOT_NAMES) console.log(await ensureDebianRoot(name));
