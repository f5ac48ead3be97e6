// Version and commit: put in by `bun build --define`, or "development" when run from source.
import { version } from "../package.json" with { type: "json" };

declare const PEAT_VERSION: string | undefined;
declare const PEAT_COMMIT: string | undefined;

export interface BuildInfo {
  readonly version: string;
  /** Commit of the source tree, or `development` when run from source. */
  readonly commit: string;
}

export const buildInfo: BuildInfo = {
  version: typeof PEAT_VERSION === "string" ? PEAT_VERSION : version,
  commit: typeof PEAT_COMMIT === "string" ? PEAT_COMMIT : "development",
};
