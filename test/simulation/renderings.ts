// Renderings in simulated worlds: some nodes compact them now and then, and at rest each shows what its document shows.
import { HistoryDocument } from "../../src/store/history.ts";
import type { Store } from "../../src/store/store.ts";
import { key } from "../support/memory-store.ts";
import { startId } from "../support/states.ts";
import type { World } from "./world.ts";

/** Every document without history that has a change to lose; notes are listed, and left alone. */
export function compactAll(store: Store) {
  const { signal } = new AbortController();
  return store.renderings.compact({ collections: ["tracks", "notes"], thresholdBytes: 0, signal });
}

/** JSON of the rendering; undefined for a document without one. */
function shown(store: Store, name: string): string | undefined {
  const chunks = store.renderings.read(key(name));
  if (chunks === undefined) return undefined;
  const document = HistoryDocument.load(chunks, startId("9"));
  const json = document?.printJson() ?? "incomplete";
  document?.free();
  return json;
}

/** What is wrong with the renderings of `names`, once everything is rendered. */
export function wrongRenderings(world: World, names: readonly string[]): string[] {
  return world.running.flatMap(({ name, store }) =>
    names.flatMap((document) => {
      const isLatest = document.startsWith("tracks");
      const expected = isLatest ? store.get(key(document))?.json : undefined;
      const found = shown(store, document);
      if (store.renderings.waiting > 0) return [`${name}: renderings still wait`];
      return found === expected ? [] : [`${name} ${document}: renders ${found}, not ${expected}`];
    }),
  );
}
