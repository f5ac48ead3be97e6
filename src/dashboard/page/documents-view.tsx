// Collections, the documents of one of them, and one document: side by side where there is room.
import { useState } from "preact/hooks";
import type { Collection } from "./answers.ts";
import { DocumentList } from "./document-list.tsx";
import { DocumentPane } from "./document-pane.tsx";
import { formatCount, showName } from "./format.ts";
import { moveInList } from "./list-keys.ts";
import { printRoute, type Route } from "./route.ts";

const COLLECTIONS_MAX = 300;

interface CollectionsProps {
  readonly collections: readonly Collection[];
  readonly chosen: string | undefined;
}

function Collections({ collections, chosen }: CollectionsProps) {
  const [search, setSearch] = useState("");
  const wanted = search.trim().toLowerCase();
  const found = collections.filter(({ name }) => name.toLowerCase().includes(wanted));
  return (
    <section class="panel collections" aria-labelledby="collections-heading">
      <header>
        <h2 id="collections-heading">Collections</h2>
      </header>
      {collections.length > 12 && (
        <input
          type="search"
          aria-label="Find collections"
          placeholder="Find collections"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
      )}
      <ul class="links" onKeyDown={moveInList}>
        {found.slice(0, COLLECTIONS_MAX).map(({ name, count }) => (
          <li key={name}>
            <a
              href={printRoute({ view: "documents", collection: name, id: undefined })}
              aria-current={name === chosen ? "true" : undefined}
            >
              <span class="name">{showName(name)}</span>
              <span class="count">{formatCount(count)}</span>
            </a>
          </li>
        ))}
      </ul>
      {collections.length === 0 && <p class="empty">No documents yet.</p>}
      {found.length > COLLECTIONS_MAX && (
        <p class="note">{formatCount(found.length - COLLECTIONS_MAX)} more; find them by name.</p>
      )}
    </section>
  );
}

interface DocumentsProps {
  readonly route: Extract<Route, { view: "documents" }>;
  readonly collections: readonly Collection[];
}

export function DocumentsView({ route, collections }: DocumentsProps) {
  const { collection, id } = route;
  const openness = id !== undefined ? "at-document" : collection !== undefined ? "at-list" : "";
  return (
    <div class={`documents ${openness}`}>
      <Collections collections={collections} chosen={collection} />
      {collection === undefined ? (
        <p class="empty panel">Choose a collection.</p>
      ) : (
        <DocumentList key={collection} collection={collection} chosen={id} />
      )}
      {collection !== undefined && id !== undefined && (
        <DocumentPane key={`${collection}/${id}`} collection={collection} id={id} />
      )}
    </div>
  );
}
