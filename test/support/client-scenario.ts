// What every runtime does with the client: writes, reads, follows and is refused. Bundled for those that are not Bun.
import { type ClientOptions, PeatClient, PeatError } from "../../src/client/client.ts";

/** What was seen, the same wherever it ran. */
export async function useClient(options: ClientOptions): Promise<unknown> {
  const peat = new PeatClient(options);
  const ending = new AbortController();
  const changes = peat.subscribe({ collections: ["tracks"], signal: ending.signal });
  const begin = await changes.next();
  await peat.put("tracks", "été/1", { speed: 3 });
  const told = await changes.next();
  const { etag } = await peat.patch("tracks", "été/1", { speed: null, seen: [1, "ü"] });
  const stored = await peat.get("tracks", "été/1");
  const stale = await peat
    .put("tracks", "été/1", {}, { ifMatch: '"00000000000000000000000000000000"' })
    .catch((error: unknown) => (error instanceof PeatError ? error.code : error));
  const ids: string[] = [];
  for await (const { _id } of peat.list("tracks", { pageSize: 1 })) ids.push(_id);
  await peat.delete("tracks", "été/1", { reason: "done", ifMatch: etag });
  const actions: string[] = [];
  for await (const event of changes) {
    if (event.kind !== "changed") continue;
    const isGone = event.fields === undefined;
    if (isGone) actions.push("deleted");
    if (event.fields?.["seen"] !== undefined) actions.push("patched");
    if (isGone) ending.abort();
  }
  const event = told.value;
  return {
    begin: begin.value?.kind,
    first: event?.kind === "changed" ? [event.collection, event.id, event.fields] : event,
    stored: stored?.fields,
    isSameState: stored?.etag === etag,
    stale,
    ids,
    actions,
    after: (await peat.get("tracks", "été/1")) ?? "gone",
  };
}

export const SEEN = {
  begin: "begin",
  first: ["tracks", "été/1", { speed: 3 }],
  stored: { seen: [1, "ü"] },
  isSameState: true,
  stale: "precondition_failed",
  ids: ["été/1"],
  actions: ["patched", "deleted"],
  after: "gone",
};
