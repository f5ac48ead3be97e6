// The mesh as a picture: this node, its peers around it, and how each is reached. The way of a connection is told by
// the line's dashes and a word, never by colour alone; the table beside it tells the same in words.
import type { Peer } from "./answers.ts";
import { formatMs, showName } from "./format.ts";
import { useMatch } from "./media.ts";
import { layRing, type Place } from "./ring.ts";

/** Units of the picture; a narrow page has room for less beside the ring. */
const WIDE = { width: 760, height: 430 } as const;
const NARROW = { width: 390, height: 400 } as const;
const IS_NARROW = "(max-width: 560px)";
/** About the width of a digit, for the ground that keeps a label legible on its line. */
const DIGIT_WIDTH = 7;
const NAME_CHARS_MAX = 22;

/** How a peer stands, in one word: also the class of its mark and line. */
export function standingOf(peer: Peer): "direct" | "relay" | "connected" | "away" {
  if (!peer.isConnected) return "away";
  if (peer.path === "direct" || peer.path === "relay") return peer.path;
  return "connected";
}

function Edge({ place, center }: { place: Place; center: { x: number; y: number } }) {
  const { peer, x, y } = place;
  const words = formatMs(peer.rttMs);
  const ground = words.length * DIGIT_WIDTH + 8;
  const middle = { x: center.x + (x - center.x) * 0.56, y: center.y + (y - center.y) * 0.56 };
  return (
    <g class={`edge ${standingOf(peer)}`}>
      <line x1={center.x} y1={center.y} x2={x} y2={y} />
      {peer.isConnected && (
        <>
          <rect
            class="ground"
            x={middle.x - ground / 2}
            y={middle.y - 9}
            width={ground}
            height="18"
            rx="4"
          />
          <text class="latency" x={middle.x} y={middle.y} text-anchor="middle" dy="0.35em">
            {words}
          </text>
        </>
      )}
    </g>
  );
}

const OFFSETS = { start: 16, middle: 0, end: -16 } as const;

function Mark({ place, height }: { place: Place; height: number }) {
  const { peer, x, y, anchor } = place;
  const isBelow = y > height / 2;
  const dy = anchor === "middle" ? (isBelow ? 24 : -30) : -2;
  const textX = x + OFFSETS[anchor];
  const lag = peer.isConnected && !peer.isInSync ? `${peer.queued} queued` : undefined;
  const detail = peer.isConnected ? (lag ?? "in sync") : "not connected";
  return (
    <g class={`mark ${standingOf(peer)} ${peer.isInSync ? "level" : "behind"}`}>
      {peer.isConnected ? (
        <circle cx={x} cy={y} r="8" />
      ) : (
        <path d={`M${x - 6} ${y - 6}l12 12m0-12l-12 12`} />
      )}
      <text class="name" x={textX} y={y + dy} text-anchor={anchor}>
        {showName(peer.name, NAME_CHARS_MAX)}
      </text>
      <text class="detail" x={textX} y={y + dy + 15} text-anchor={anchor}>
        {detail}
      </text>
    </g>
  );
}

function describe(name: string, peers: readonly Peer[]): string {
  const connected = peers.filter(({ isConnected }) => isConnected);
  const relayed = connected.filter(({ path }) => path === "relay").length;
  const away = peers.length - connected.length;
  return `${name} is connected to ${connected.length} of ${peers.length} peers, ${relayed} of them by a relay; ${away} can't be reached.`;
}

function Legend() {
  const rows = [
    ["direct", "direct"],
    ["relay", "by a relay"],
    ["away", "not connected"],
    ["chord", "peer to peer"],
  ] as const;
  return (
    <ul class="legend" aria-hidden="true">
      {rows.map(([standing, words]) => (
        <li key={standing}>
          <svg viewBox="0 0 34 8" width="34" height="8" aria-hidden="true">
            <g class={standing === "chord" ? "chord" : `edge ${standing}`}>
              <line x1="1" y1="4" x2="33" y2="4" />
            </g>
          </svg>
          {words}
        </li>
      ))}
    </ul>
  );
}

export function MeshPicture({ name, peers }: { name: string; peers: readonly Peer[] }) {
  const size = useMatch(IS_NARROW) ? NARROW : WIDE;
  const ring = layRing(peers, size);
  const { center, places, chords, left } = ring;
  return (
    <section class="panel mesh" aria-labelledby="mesh-heading">
      <header>
        <h2 id="mesh-heading">Mesh</h2>
        <Legend />
      </header>
      <svg
        class="picture"
        viewBox={`0 0 ${size.width} ${size.height}`}
        role="img"
        aria-label={describe(showName(name), peers)}
      >
        {chords.map(({ from, to }) => (
          <g class="chord" key={`${from.peer.name}\n${to.peer.name}`}>
            <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
          </g>
        ))}
        {places.map((place) => (
          <Edge key={place.peer.name} place={place} center={center} />
        ))}
        {places.map((place) => (
          <Mark key={place.peer.name} place={place} height={size.height} />
        ))}
        <g class="self">
          <circle cx={center.x} cy={center.y} r="14" />
          <text class="name" x={center.x} y={center.y + 34} text-anchor="middle">
            {showName(name, NAME_CHARS_MAX)}
          </text>
        </g>
      </svg>
      {peers.length === 0 && <p class="empty">No peers are known yet.</p>}
      {left > 0 && <p class="note">{left} more peers are in the table only.</p>}
    </section>
  );
}
