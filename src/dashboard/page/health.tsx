// How the node is: its conditions of readiness with what they say, and a few numbers.
import type { Check, Peer, Status } from "./answers.ts";
import { formatBytes, formatCount, formatSpan, showName } from "./format.ts";
import { troubles } from "./troubles.ts";

function markOf({ ready, message }: Check): { mark: string; words: string; kind: string } {
  if (!ready) return { mark: "✕", words: "failing", kind: "bad" };
  if (message !== undefined) return { mark: "!", words: "attention", kind: "warn" };
  return { mark: "✓", words: "good", kind: "good" };
}

function CheckRow({ check }: { check: Check }) {
  const { mark, words, kind } = markOf(check);
  return (
    <li class={`check ${kind}`}>
      <span class="mark" aria-hidden="true">
        {mark}
      </span>
      <span>
        <span class="name">{showName(check.name.replaceAll("_", " "))}</span>
        <span class="hidden">: {words}</span>
        {check.message !== undefined && <span class="message">{showName(check.message, 600)}</span>}
      </span>
    </li>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

export function Health({ status, peers }: { status: Status; peers: readonly Peer[] }) {
  const { ready } = status;
  const checks = [...status.checks, ...troubles(status, peers)];
  return (
    <section class="panel health" aria-labelledby="health-heading">
      <header>
        <h2 id="health-heading">Health</h2>
        <span class={`badge ${ready ? "good" : "bad"}`}>{ready ? "ready" : "not ready"}</span>
      </header>
      <dl class="facts">
        <Fact name="Documents" value={formatCount(status.documents)} />
        <Fact name="Deleted" value={formatCount(status.tombstones)} />
        <Fact name="Queued" value={formatCount(status.queued)} />
        <Fact name="Sync" value={status.isSyncing ? "on" : "stopped"} />
        <Fact name="Database" value={formatBytes(status.databaseBytes)} />
        <Fact name="Memory" value={formatBytes(status.residentBytes)} />
        <Fact name="Up" value={formatSpan(status.uptimeSecs * 1000)} />
        <Fact name="Version" value={showName(status.version)} />
      </dl>
      {checks.length === 0 && <p class="note">Nothing needs attention.</p>}
      <ul class="checks">
        {checks.map((check, index) => (
          <CheckRow key={`${check.name} ${String(index)}`} check={check} />
        ))}
      </ul>
      <ul class="listeners" aria-label="Listening on">
        {status.listeners.map(({ kind, address }) => (
          <li key={`${kind} ${address}`}>
            <span>{showName(kind)}</span> <span>{showName(address)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
