// One document as it is now, what has just changed in it, and how it came to be.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, askText, documentPath, Refusal } from "./asking.ts";
import { followCollection } from "./document-events.ts";
import { formatTime, showName } from "./format.ts";
import { type DocumentHistory, parseHistory } from "./history-answer.ts";
import { HistoryPane } from "./history-pane.tsx";
import { changedPaths, LINES_MAX, type Line, parseExact, toLines } from "./json-lines.ts";
import { printRoute } from "./route.ts";

/** Between two readings of a document that changes all the time. */
const RELOAD_MS = 200;
/** So long what has changed is marked. */
const MARKED_MS = 4_000;
const HISTORY_CHANGES = 30;
const NO_LINES: readonly Line[] = [];
const NOTHING_CHANGED: ReadonlySet<string> = new Set();

interface Shown {
  readonly lines: readonly Line[];
  readonly isWhole: boolean;
  readonly changed: ReadonlySet<string>;
  readonly changes: number;
  readonly history: DocumentHistory | undefined;
  readonly historyMessage: string | undefined;
  readonly message: string | undefined;
}

const NOTHING: Shown = {
  lines: NO_LINES,
  isWhole: true,
  changed: NOTHING_CHANGED,
  changes: 0,
  history: undefined,
  historyMessage: undefined,
  message: undefined,
};

function documentIn(text: string): unknown {
  const answer: unknown = parseExact(text);
  const document: unknown = Reflect.get(Object(answer), "document");
  if (typeof document !== "object" || document === null) return document;
  const { _id, ...rest } = document as Record<string, unknown>;
  return rest;
}

async function readDocument(path: string, before: Shown): Promise<Shown> {
  try {
    const { lines, isWhole } = toLines(documentIn(await askText(path)));
    const isFirst = before.lines === NO_LINES;
    const changed = isFirst ? NOTHING_CHANGED : changedPaths(before.lines, lines);
    const isOther = changed.size > 0 || lines.length !== before.lines.length;
    const changes = before.changes + (isOther && !isFirst ? 1 : 0);
    const marked = changed.size > 0 ? changed : before.changed;
    return { ...before, lines, isWhole, changed: marked, changes, message: undefined };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const lines = error.status === 404 ? NO_LINES : before.lines;
    return { ...before, lines, message: error.message };
  }
}

async function readHistory(path: string, before: Shown): Promise<Shown> {
  try {
    const history = parseHistory(await ask(`${path}/history?limit=${HISTORY_CHANGES}`));
    return { ...before, history, historyMessage: undefined };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ...before, historyMessage: error.message };
  }
}

/** Read again whenever the node says that this document has changed. */
function useDocument(collection: string, id: string): Shown {
  const [shown, setShown] = useState(NOTHING);
  const latest = useRef(NOTHING);
  useEffect(() => {
    const path = documentPath(collection, id);
    let isOver = false;
    let isReading = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isAsked = false;
    const show = (next: Shown) => {
      if (isOver) return;
      latest.current = next;
      setShown(next);
    };
    const read = async () => {
      isAsked = false;
      isReading = true;
      show(await readDocument(path, latest.current));
      show(await readHistory(path, latest.current));
      isReading = false;
      if (isAsked) later();
    };
    const later = () => {
      isAsked = true;
      if (isReading || timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        void read();
      }, RELOAD_MS);
    };
    const end = followCollection(collection, (changed) => {
      if (changed === undefined || changed === id) later();
    });
    later();
    return () => {
      isOver = true;
      clearTimeout(timer);
      end();
    };
  }, [collection, id]);
  return shown;
}

/** The marks go when nothing has changed for a while. */
function useMarks({ changed, changes }: Shown): ReadonlySet<string> {
  const [over, setOver] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => setOver(changes), MARKED_MS);
    return () => clearTimeout(timer);
  }, [changes]);
  return over === changes ? NOTHING_CHANGED : changed;
}

function LineRow({ line, isChanged }: { line: Line; isChanged: boolean }) {
  const { depth, name, value, kind } = line;
  return (
    <div class={`line depth-${Math.min(depth, 24)} ${isChanged ? "changed" : ""}`}>
      {name !== undefined && <span class="key">{showName(JSON.stringify(name))}: </span>}
      <span class={kind}>{showName(value, 2100)}</span>
    </div>
  );
}

function Head({ collection, id, shown }: { collection: string; id: string; shown: Shown }) {
  const { history, changes } = shown;
  return (
    <header>
      <a class="back" href={printRoute({ view: "documents", collection, id: undefined })}>
        {showName(collection)}
      </a>
      <h2 id="document-heading">{showName(id, 600)}</h2>
      <span class="note" role="status">
        {changes > 0 &&
          `changed ${changes === 1 ? "once" : `${changes} times`} since it was opened`}
      </span>
      {history?.bornMs !== undefined && history.bornMs > 0 && (
        <span class="note">created {formatTime(history.bornMs)}</span>
      )}
    </header>
  );
}

export function DocumentPane({ collection, id }: { collection: string; id: string }) {
  const shown = useDocument(collection, id);
  const marks = useMarks(shown);
  const { lines, isWhole, history, historyMessage, message } = shown;
  const rows = useMemo(
    () =>
      lines.map((line) => <LineRow key={line.path} line={line} isChanged={marks.has(line.path)} />),
    [lines, marks],
  );
  return (
    <section class="panel document" aria-labelledby="document-heading">
      <Head collection={collection} id={id} shown={shown} />
      {message !== undefined && <p class="note">{showName(message, 600)}</p>}
      {lines.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: long documents are scrolled by keys.
        <section class="json" tabIndex={0} aria-label="Content">
          {rows}
        </section>
      )}
      {!isWhole && <p class="note">Only the first {LINES_MAX} lines are shown.</p>}
      {historyMessage !== undefined && <p class="note">{showName(historyMessage, 600)}</p>}
      {history !== undefined && <HistoryPane history={history} />}
    </section>
  );
}
