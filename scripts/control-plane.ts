// bun scripts/control-plane.ts: builds the Kubernetes programs that some tests use, once per machine (needs Go).
import { ensureControlPlaneTools, findControlPlaneTools } from "./support/control-plane-tools.ts";

await ensureControlPlaneTools();
console.log(await findControlPlaneTools());
