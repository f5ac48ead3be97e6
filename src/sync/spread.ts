// Where a commit goes: at once to every peer that is not known to have it, later to those who should hear it from its
// author, and then only from some of those who could tell them.
import type { NodeName } from "../identity/peer.ts";
import type { Committed } from "../store/store.ts";
import type { Relays } from "./relays.ts";
import type { Session } from "./session.ts";
import { isWitness, rankWitnesses } from "./witnesses.ts";

export interface SpreadContext {
  readonly nodeName: NodeName;
  readonly sessions: ReadonlyMap<NodeName, Session>;
  readonly relays: Relays;
}

export function spread(committed: readonly Committed[], context: SpreadContext): void {
  const { nodeName, sessions, relays } = context;
  const told = committed.map((change) => {
    const author = authorOf(change, sessions);
    return { change, author, witnesses: witnessesOf(change, author) };
  });
  for (const session of sessions.values()) {
    const now: Committed[] = [];
    for (const { change, author, witnesses } of told) {
      if (author === session) continue;
      const isEntrusted = relays.isEntrusted(change.key, change.origin);
      if (isEntrusted || !isToldBy(author, session)) now.push(change);
      else if (witnesses === undefined) session.hold(change);
      else session.hold(isWitness(witnesses, nodeName, session.name) ? change : undefined);
    }
    if (now.length > 0) session.push(now);
  }
}

function authorOf({ origin }: Committed, sessions: SpreadContext["sessions"]): Session | undefined {
  return origin === undefined ? undefined : sessions.get(origin as NodeName);
}

/** Also what comes in a catch-up: others mostly catch up at the same time, and each would send it to each. */
function isToldBy(author: Session | undefined, session: Session): boolean {
  if (author === undefined) return false;
  return author.isCatchingUp || author.carrier.neighbours.has(session.name);
}

/** Undefined: everybody, for in a catch-up nobody knows who else has it. */
function witnessesOf(
  { key }: Committed,
  author: Session | undefined,
): readonly string[] | undefined {
  if (author === undefined || author.isCatchingUp) return undefined;
  return rankWitnesses(key, author.carrier.neighbours);
}
