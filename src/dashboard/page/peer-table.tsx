// All peers in words and numbers, those with trouble first if asked.
import { useMemo, useState } from "preact/hooks";
import type { Peer } from "./answers.ts";
import { formatAgo, formatBytes, formatCount, formatMs, formatSpan, showName } from "./format.ts";
import { standingOf } from "./mesh-picture.tsx";

const ROWS_MAX = 100;
const WORDS = {
  direct: "direct",
  relay: "relay",
  connected: "connected",
  away: "not connected",
} as const;

function standingWords(peer: Peer): string {
  const words = WORDS[standingOf(peer)];
  return peer.dialect === "guest" ? `${words}, guest` : words;
}

interface RowProps {
  readonly peer: Peer;
  readonly nowMs: number;
  readonly lostAtMs: number | undefined;
}

function whyAway(peer: Peer, { nowMs, lostAtMs }: RowProps): string {
  const since = lostAtMs === undefined ? "" : `for ${formatSpan(nowMs - lostAtMs)}: `;
  return `${since}${peer.lastFailure ?? "being dialled"}`;
}

function Row(props: RowProps) {
  const { peer, nowMs } = props;
  const standing = standingOf(peer);
  return (
    <tr class={standing}>
      <th scope="row">
        <span class={`dot ${standing}`} aria-hidden="true" />
        {showName(peer.name)}
      </th>
      <td>{standingWords(peer)}</td>
      <td class="number">{peer.isConnected ? formatMs(peer.rttMs) : "–"}</td>
      <td class="number">{peer.isConnected ? formatMs(peer.lagMs) : "–"}</td>
      <td class="number">{formatCount(peer.queued)}</td>
      <td>{peer.isConnected ? (peer.isInSync ? "yes" : "not yet") : "–"}</td>
      <td class="number">{formatAgo(peer.lastSeenMs, nowMs)}</td>
      <td class="number">
        {formatBytes(peer.sentBytes)} / {formatBytes(peer.receivedBytes)}
      </td>
      <td class="about">
        {peer.isConnected ? (
          <span class="address">{showName(peer.address ?? "")}</span>
        ) : (
          <span class="why">{showName(whyAway(peer, props), 300)}</span>
        )}
      </td>
    </tr>
  );
}

const COLUMNS = [
  "Peer",
  "Path",
  "Round trip",
  "Lag",
  "Queued",
  "In sync",
  "Last seen",
  "Sent / received",
  "Address, or why not connected",
] as const;
const NUMBERS = new Set<string>(["Round trip", "Lag", "Queued", "Last seen", "Sent / received"]);

interface TableProps {
  readonly peers: readonly Peer[];
  readonly nowMs: number;
  readonly lostAtMs: ReadonlyMap<string, number>;
}

export function PeerTable({ peers, nowMs, lostAtMs }: TableProps) {
  const [search, setSearch] = useState("");
  const [isAll, setAll] = useState(false);
  const found = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return peers.filter(({ name }) => name.toLowerCase().includes(wanted));
  }, [peers, search]);
  const shown = isAll ? found : found.slice(0, ROWS_MAX);
  return (
    <section class="panel peers" aria-labelledby="peers-heading">
      <header>
        <h2 id="peers-heading">Peers</h2>
        {peers.length > 8 && (
          <input
            type="search"
            aria-label="Find peers by name"
            placeholder="Find peers"
            value={search}
            onInput={({ currentTarget }) => setSearch(currentTarget.value)}
          />
        )}
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table is scrolled by keys. */}
      <section class="scroll" tabIndex={0} aria-label="Table of peers">
        <table>
          <thead>
            <tr>
              {COLUMNS.map((name) => (
                <th scope="col" key={name} class={NUMBERS.has(name) ? "number" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((peer) => (
              <Row key={peer.name} peer={peer} nowMs={nowMs} lostAtMs={lostAtMs.get(peer.name)} />
            ))}
          </tbody>
        </table>
      </section>
      {found.length === 0 && <p class="empty">No such peer.</p>}
      {found.length > shown.length && (
        <button type="button" onClick={() => setAll(true)}>
          Show all {formatCount(found.length)}
        </button>
      )}
    </section>
  );
}
