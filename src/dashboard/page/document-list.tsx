// The documents of a collection, a page at a time, by id or as a search finds them.
import { useEffect, useRef, useState } from "preact/hooks";
import { field, listOf, numberOf, textOf } from "./answers.ts";
import { API, ask, Refusal } from "./asking.ts";
import { followCollection } from "./document-events.ts";
import { beforePrefix, parseSearch } from "./filter-text.ts";
import { formatCount, showName } from "./format.ts";
import { moveInList } from "./list-keys.ts";
import { printRoute } from "./route.ts";

const PAGE_DOCUMENTS = 100;
const SEARCH_PAUSE_MS = 250;
/** Between two readings of a list that changes. */
const RELOAD_MS = 1_000;
const SUMMARY_CHARS_MAX = 120;

interface Item {
  readonly id: string;
  readonly summary: string;
}

interface ListPage {
  readonly items: readonly Item[];
  readonly count: number;
  readonly next: string | undefined;
}

function summarize(document: unknown): string {
  const rest = Object.entries(Object(document)).filter(([name]) => name !== "_id");
  const parts = rest.slice(0, 6).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return parts.join("  ").slice(0, SUMMARY_CHARS_MAX * 2);
}

function parsePage(answer: unknown, prefix: string): ListPage {
  const all = listOf(field(answer, "documents"));
  const items = all
    .map((document) => ({
      id: textOf(field(document, "_id")) ?? "",
      summary: summarize(document),
    }))
    .filter(({ id }) => id.startsWith(prefix));
  const isPastPrefix = items.length < all.length;
  const next = isPastPrefix ? undefined : textOf(field(answer, "next"));
  return { items, count: numberOf(field(answer, "count")) ?? 0, next };
}

async function readPage(
  collection: string,
  { search, after }: { search: string; after: string | undefined },
): Promise<ListPage> {
  const wish = parseSearch(search);
  if (wish.kind === "wrong") throw new Refusal(400, wish.message);
  const query = new URLSearchParams({ limit: String(PAGE_DOCUMENTS) });
  if (wish.kind === "filter") query.set("filter", wish.json);
  const prefix = wish.kind === "prefix" ? wish.prefix : "";
  const from = after ?? (prefix === "" ? undefined : beforePrefix(prefix));
  if (from !== undefined) query.set("after", from);
  const path = `${API}/documents/${encodeURIComponent(collection)}?${query.toString()}`;
  return parsePage(await ask(path), prefix);
}

type Listed = { readonly page: ListPage } | { readonly message: string } | undefined;

/** Read anew when something in the collection changes, at most once a second. */
function useList(collection: string, search: string, after: string | undefined): Listed {
  const [listed, setListed] = useState<Listed>(undefined);
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      try {
        const page = await readPage(collection, { search, after });
        if (!isOver) setListed({ page });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (!isOver) setListed({ message });
      }
    };
    const later = (pauseMs: number) => {
      if (timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        void read();
      }, pauseMs);
    };
    later(SEARCH_PAUSE_MS);
    const end = followCollection(collection, () => later(RELOAD_MS));
    return () => {
      isOver = true;
      clearTimeout(timer);
      end();
    };
  }, [collection, search, after]);
  return listed;
}

interface ItemsProps {
  readonly collection: string;
  readonly items: readonly Item[];
  readonly chosen: string | undefined;
}

function Items({ collection, items, chosen }: ItemsProps) {
  return (
    <ul class="links" onKeyDown={moveInList} aria-label="Documents">
      {items.map(({ id, summary }) => (
        <li key={id}>
          <a
            href={printRoute({ view: "documents", collection, id })}
            aria-current={id === chosen ? "true" : undefined}
          >
            <span class="name">{showName(id)}</span>
            <span class="summary">{showName(summary, SUMMARY_CHARS_MAX)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

export function DocumentList({
  collection,
  chosen,
}: {
  collection: string;
  chosen: string | undefined;
}) {
  const [search, setSearch] = useState("");
  const [places, setPlaces] = useState<readonly string[]>([]);
  const listed = useList(collection, search, places.at(-1));
  const top = useRef<HTMLHeadingElement>(null);
  const page = listed !== undefined && "page" in listed ? listed.page : undefined;
  const turn = (next: readonly string[]) => {
    setPlaces(next);
    top.current?.scrollIntoView({ block: "nearest" });
  };
  return (
    <section class="panel list" aria-labelledby="list-heading">
      <header>
        <a
          class="back"
          href={printRoute({ view: "documents", collection: undefined, id: undefined })}
        >
          Collections
        </a>
        <h2 id="list-heading" ref={top}>
          {showName(collection)}
        </h2>
        {page !== undefined && <span class="count">{formatCount(page.count)}</span>}
      </header>
      <input
        type="search"
        aria-label="Search documents"
        aria-describedby="search-help"
        placeholder="id, or speed > 12 and status = ok"
        value={search}
        onInput={({ currentTarget }) => {
          setSearch(currentTarget.value);
          setPlaces([]);
        }}
      />
      <p id="search-help" class="hidden">
        The beginning of an id, comparisons joined by “and”, or a filter as JSON.
      </p>
      {listed !== undefined && "message" in listed && (
        <p class="note" role="status">
          {showName(listed.message, 400)}
        </p>
      )}
      {page !== undefined && <Items collection={collection} items={page.items} chosen={chosen} />}
      {page?.items.length === 0 && <p class="empty">Nothing found.</p>}
      {(places.length > 0 || page?.next !== undefined) && (
        <div class="pages">
          <button
            type="button"
            disabled={places.length === 0}
            onClick={() => turn(places.slice(0, -1))}
          >
            Previous
          </button>
          <span>Page {places.length + 1}</span>
          <button
            type="button"
            disabled={page?.next === undefined}
            onClick={() => page?.next !== undefined && turn([...places, page.next])}
          >
            Next
          </button>
        </div>
      )}
    </section>
  );
}
