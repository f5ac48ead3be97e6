// One line that says whether a document is the same everywhere, and if not, where and why.
import type { Cause, Explanation, PeerStand } from "../broker/diagnostics.ts";
import type { Standing } from "../store/standing.ts";

export function verdictOf(
  here: Standing,
  known: readonly PeerStand[],
  causes: readonly Cause[],
): Pick<Explanation, "verdict" | "message"> {
  // A node that was taken away for good keeps nobody waiting, unless it is all that there ever was.
  const sought = known.filter((peer) => peer.sought);
  const peers = sought.length > 0 ? sought : known;
  const differing = peers.filter(({ same }) => same === false);
  if (differing.length > 0) {
    const message = `${here.kind} here; differs on ${namesOf(differing)}: ${whyOf(differing, causes)}`;
    return { verdict: "differs", message };
  }
  const unknown = peers.filter(({ same }) => same === null);
  if (unknown.length > 0) {
    const message = `${here.kind} here; unknown on ${namesOf(unknown)}: ${whyOf(unknown, causes)}`;
    return { verdict: "unknown", message };
  }
  return { verdict: "equal", message: equalMessage(here, peers, causes) };
}

function equalMessage(
  here: Standing,
  peers: readonly PeerStand[],
  causes: readonly Cause[],
): string {
  const where = peersIn(peers.length);
  const first = causes.find(({ peer }) => peer === null);
  const why = first === undefined ? "" : `: ${first.message}`;
  if (here.kind === "alive") return `equal on ${where}${why}`;
  if (here.kind === "absent") return `there is no such document on ${where}${why}`;
  return `${here.kind === "forgotten" ? "deleted" : here.kind} on ${where}${why}`;
}

function peersIn(count: number): string {
  if (count === 0) return "this node, which knows no peers";
  return count === 1 ? "this node and its only peer" : `this node and all ${count} peers`;
}

const NAMES_SHOWN = 3;

function namesOf(peers: readonly PeerStand[]): string {
  const names = peers.slice(0, NAMES_SHOWN).map(({ id }) => id);
  const more = peers.length - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}

/** The first cause that concerns one of them, else this node. */
function whyOf(peers: readonly PeerStand[], causes: readonly Cause[]): string {
  const names = new Set(peers.map(({ id }) => id));
  const cause = causes.find(({ peer }) => peer !== null && names.has(peer)) ?? causes[0];
  return cause?.message ?? "nobody knows why; see the log";
}
