// What a session has in common with the others of its node.
import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Claims } from "./claims.ts";
import type { Relays } from "./relays.ts";
import type { Session } from "./session.ts";
import type { SyncTimes } from "./sync-times.ts";

export interface SessionContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly catchUp: CatchUp;
  readonly claims: Claims;
  readonly relays: Relays;
  /** How long changes take to the peers is counted there. */
  readonly times: SyncTimes | undefined;
  /** Called when the path to the peer seems dead. */
  readonly onDoubt: (session: Session) => void;
  /** Something that can't happen has: the process has to end. */
  readonly onBug: (error: unknown) => void;
}
