// The page: its head, which view is shown, and what is said when the node can't be asked.
import { useEffect, useState } from "preact/hooks";
import { DocumentsView } from "./documents-view.tsx";
import { formatClock, formatSpan, showName } from "./format.ts";
import { Health } from "./health.tsx";
import { LogView } from "./log-view.tsx";
import { MeshPicture } from "./mesh-picture.tsx";
import { PeerTable } from "./peer-table.tsx";
import { Plots } from "./plots.tsx";
import { parseRoute, printRoute, type Route } from "./route.ts";
import { ThemeSwitch } from "./theme.tsx";
import { TokenForm } from "./token-form.tsx";
import type { NodeState, NodeWatch, Sight } from "./watching.ts";

function useNode(watch: NodeWatch): NodeState {
  const [state, setState] = useState(watch.state);
  useEffect(() => watch.subscribe(() => setState(watch.state)), [watch]);
  return state;
}

function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const listen = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", listen);
    return () => removeEventListener("hashchange", listen);
  }, []);
  return route;
}

/** Escape leads from a document to its list, and from there to the collections; a field that is typed in keeps it. */
function useEscape(): void {
  useEffect(() => {
    const listen = ({ key, target, defaultPrevented }: KeyboardEvent) => {
      const isTyping = target instanceof HTMLInputElement && target.value !== "";
      // As the address has it: what is drawn may be a moment behind.
      const route = parseRoute(location.hash);
      if (key !== "Escape" || isTyping || defaultPrevented || route.view !== "documents") return;
      const { collection, id } = route;
      if (collection === undefined) return;
      const up = { view: "documents", collection: id && collection, id: undefined } as const;
      const came = printRoute(route);
      // Where one came from is where one goes on, once that is drawn.
      const goOn = () => {
        const links = [...document.querySelectorAll<HTMLElement>(".links a")];
        links.find((link) => link.getAttribute("href") === came)?.focus();
      };
      addEventListener("hashchange", () => requestAnimationFrame(goOn), { once: true });
      location.hash = printRoute(up);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

const SIGHT_WORDS = {
  starting: "asking…",
  live: "live",
  paused: "paused",
  away: "no answer",
  token: "token needed",
} as const;

const VIEWS: readonly { readonly words: string; readonly route: Route }[] = [
  { words: "Mesh", route: { view: "mesh" } },
  {
    words: "Documents",
    route: { view: "documents", collection: undefined, id: undefined },
  },
  { words: "Log", route: { view: "log" } },
];

function Head({ state, route }: { state: NodeState; route: Route }) {
  const { status, sight } = state;
  const name = status === undefined ? "peat-sidecar" : showName(status.name, 60);
  return (
    <header class="head">
      <h1>{name}</h1>
      <nav aria-label="Views">
        {VIEWS.map(({ words, route: to }) => (
          <a
            key={words}
            href={printRoute(to)}
            aria-current={to.view === route.view ? "page" : undefined}
          >
            {words}
          </a>
        ))}
      </nav>
      <span class={`sight ${sight.kind}`}>
        <span class="dot" aria-hidden="true" />
        {SIGHT_WORDS[sight.kind]}
      </span>
      <ThemeSwitch />
    </header>
  );
}

/** Said aloud once when the node goes; the running time is for the eyes only. */
function Away({ sight, name }: { sight: Extract<Sight, { kind: "away" }>; name: string }) {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="away" role="alert">
      <strong>{showName(name)} does not answer.</strong>{" "}
      {sight.isRefusal && `${showName(sight.message, 300)}. `}Everything below is as it was at{" "}
      {formatClock(sight.sinceMs)}; the page goes on by itself when the node is back.
      <span class="since" aria-hidden="true">
        {formatSpan(Math.max(0, nowMs - sight.sinceMs))}
      </span>
    </div>
  );
}

function MeshView({ state }: { state: NodeState }) {
  const { status, peers, nowMs, samples, lostAtMs } = state;
  if (status === undefined) return <p class="empty">Asking the node…</p>;
  return (
    <div class="overview">
      <MeshPicture name={status.name} peers={peers} />
      <PeerTable peers={peers} nowMs={nowMs} lostAtMs={lostAtMs} />
      <div class="aside">
        <Health status={status} peers={peers} />
        <Plots samples={samples} nowMs={nowMs} />
      </div>
    </div>
  );
}

function View({ state, route }: { state: NodeState; route: Route }) {
  if (route.view === "documents") {
    return <DocumentsView route={route} collections={state.collections} />;
  }
  if (route.view === "log") return <LogView tick={state.nowMs} />;
  return <MeshView state={state} />;
}

export function Page({ watch }: { watch: NodeWatch }) {
  const state = useNode(watch);
  const route = useRoute();
  useEscape();
  const { sight, status } = state;
  const needsToken = sight.kind === "token";
  return (
    <>
      <button type="button" class="skip" onClick={skipToMain}>
        Skip to content
      </button>
      <Head state={state} route={route} />
      {sight.kind === "away" && <Away sight={sight} name={status?.name ?? "The node"} />}
      {status !== undefined && status.version !== state.ownVersion && (
        <p class="renewed" role="status">
          The node is of version {showName(status.version)} now, this page still of{" "}
          {showName(state.ownVersion ?? "")}.{" "}
          <button type="button" onClick={() => location.reload()}>
            Load it again
          </button>
        </p>
      )}
      <main id="main" tabIndex={-1} class={sight.kind === "away" ? "stale" : ""}>
        {needsToken ? (
          <TokenForm why={sight.message} onToken={(token) => watch.useToken(token)} />
        ) : (
          <View state={state} route={route} />
        )}
      </main>
    </>
  );
}

/** A button and no link, because the address behind the # names views. */
function skipToMain(): void {
  document.getElementById("main")?.focus();
}
