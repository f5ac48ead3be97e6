// Why a peer that is looked for is not connected, as far as the last attempt showed it.
import { Fault, messageOf } from "../base/faults.ts";
import { DialError } from "./link.ts";
import { CLOSE } from "./membership.ts";

/**
 * unreached: nothing answers at its addresses, or nobody knows why. unresolved: it has no address. stranger: who
 * answers there has another identity, by another secret or another name. stopped: its sync is stopped. unwanted: it
 * keeps this node away by order. duplicate: it is connected to another node of this node's name. held: this node
 * has the order not to connect.
 */
export type Obstacle =
  | "unreached"
  | "unresolved"
  | "stranger"
  | "stopped"
  | "unwanted"
  | "duplicate"
  | "held";

export interface DialTrouble {
  readonly obstacle: Obstacle;
  /** For people. */
  readonly text: string;
}

/** Words with which a peer closes; they are the protocol's, see CLOSE. */
const BY_REASON: Readonly<Record<string, Obstacle>> = {
  [CLOSE.authFailed.reason]: "stranger",
  [CLOSE.duplicateName.reason]: "duplicate",
  [CLOSE.stopped.reason]: "stopped",
  [CLOSE.unwanted.reason]: "unwanted",
};

/** What the words say with which a peer has ended a connection; undefined: nothing that lasts. */
export function obstacleOfReason(reason: string): Obstacle | undefined {
  return Object.hasOwn(BY_REASON, reason) ? BY_REASON[reason] : undefined;
}

/** Of what a dial was rejected with. */
export function troubleOf(error: unknown): DialTrouble {
  const text = messageOf(error);
  if (error instanceof DialError) {
    const { kind } = error;
    return { text, obstacle: kind === "no protocol" || kind === "other" ? "unreached" : kind };
  }
  const closedWith = error instanceof Fault ? error.details["closedWith"] : undefined;
  const told = typeof closedWith === "string" ? obstacleOfReason(closedWith) : undefined;
  return { text, obstacle: told ?? "unreached" };
}
