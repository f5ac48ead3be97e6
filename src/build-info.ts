// Version, commit and where the addon lies: put in by `bun build --define`, or "development" when run from source.
import { version } from "../package.json" with { type: "json" };

declare const PEAT_VERSION: string | undefined;
declare const PEAT_COMMIT: string | undefined;
declare const PEAT_ADDON_PATH: string | undefined;
declare const PEAT_HISTORY_WORKER: string | undefined;

export interface BuildInfo {
  readonly version: string;
  /** Commit of the source tree, or `development` when run from source. */
  readonly commit: string;
  /** Where images and packages lay the QUIC addon; undefined when it is inside of the executable. */
  readonly addonPath: string | undefined;
  /** Where the module of the thread that reads histories lies, seen from any other; undefined when run from source. */
  readonly historyWorker: string | undefined;
}

export const buildInfo: BuildInfo = {
  version: typeof PEAT_VERSION === "string" ? PEAT_VERSION : version,
  commit: typeof PEAT_COMMIT === "string" ? PEAT_COMMIT : "development",
  addonPath: typeof PEAT_ADDON_PATH === "string" ? PEAT_ADDON_PATH : undefined,
  historyWorker: typeof PEAT_HISTORY_WORKER === "string" ? PEAT_HISTORY_WORKER : undefined,
};
