// Where the peers stand in the picture of the mesh: on a ring around this node, in the order of their names, so that
// nothing moves but what has changed. Pure.
import type { Peer } from "./answers.ts";

export interface Place {
  readonly peer: Peer;
  readonly x: number;
  readonly y: number;
  /** Which way its name is written from its mark. */
  readonly anchor: "start" | "middle" | "end";
}

export interface Chord {
  readonly from: Place;
  readonly to: Place;
}

export interface Ring {
  readonly width: number;
  readonly height: number;
  readonly center: { readonly x: number; readonly y: number };
  readonly places: readonly Place[];
  /** Connections between peers, as they tell of them. */
  readonly chords: readonly Chord[];
  /** Peers that have no place in the picture. */
  readonly left: number;
}

/** More can't be told apart; who has trouble has a place before who has none. */
export const PLACES_MAX = 32;
const CHORDS_MAX = 400;

function byName(a: Peer, b: Peer): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function troubleOf(peer: Peer): number {
  if (!peer.isConnected) return 0;
  return peer.isInSync ? 2 : 1;
}

function chosen(peers: readonly Peer[]): Peer[] {
  if (peers.length <= PLACES_MAX) return [...peers].sort(byName);
  return [...peers]
    .sort((a, b) => troubleOf(a) - troubleOf(b) || byName(a, b))
    .slice(0, PLACES_MAX)
    .sort(byName);
}

function anchorOf(cosine: number): Place["anchor"] {
  if (Math.abs(cosine) < 0.2) return "middle";
  return cosine > 0 ? "start" : "end";
}

function chordsOf(places: readonly Place[]): Chord[] {
  const byPeer = new Map(places.map((place) => [place.peer.name, place]));
  const chords: Chord[] = [];
  for (const from of places) {
    for (const name of from.peer.neighbours ?? []) {
      const to = byPeer.get(name);
      if (to === undefined || chords.length >= CHORDS_MAX) continue;
      // Both ends tell of it: once is enough.
      const isTold = to.peer.neighbours?.includes(from.peer.name) === true;
      if (!isTold || from.peer.name < to.peer.name) chords.push({ from, to });
    }
  }
  return chords;
}

export function layRing(
  peers: readonly Peer[],
  { width, height }: { width: number; height: number },
): Ring {
  const shown = chosen(peers);
  const center = { x: width / 2, y: height / 2 };
  // Names are written outside the ring, to its left and right.
  const radiusX = Math.max(60, Math.min(width / 2 - 125, height * 0.9));
  const radiusY = Math.max(60, height / 2 - 52);
  const places = shown.map((peer, index): Place => {
    // One or two stand left and right; the first of more stands on top.
    const start = shown.length <= 2 ? 0 : -Math.PI / 2;
    const angle = start + (2 * Math.PI * index) / shown.length;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    return {
      peer,
      x: center.x + radiusX * x,
      y: center.y + radiusY * y,
      anchor: anchorOf(x),
    };
  });
  const left = peers.length - shown.length;
  return { width, height, center, places, chords: chordsOf(places), left };
}
