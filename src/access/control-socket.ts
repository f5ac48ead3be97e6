// Where a node listens for the users of its machine, and where their commands look for it.
import { join } from "node:path";

/** Whoever may connect there may do everything: owner and group of the node's process. */
export function controlSocketPath(runtimeDir: string): string {
  return join(runtimeDir, "control.sock");
}
