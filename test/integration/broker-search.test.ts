import { describe, expect, test } from "bun:test";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";

interface Page {
  readonly count: number;
  readonly documents: { readonly _id: string }[];
  readonly next?: string;
}

async function fill({ put }: BrokerWorld): Promise<void> {
  const documents = [
    ["a", '{"confidence":0.9,"status":"ok","position":{"lat":48.1}}'],
    ["b", '{"confidence":0.2,"status":"lost","position":{"lat":47.0}}'],
    ["c", '{"confidence":0.9,"status":"ok + more","position":null}'],
    ["d", '{"confidence":"high"}'],
    ["e/f", '{"confidence":1,"status":"é \u{1f600}"}'],
  ] as const;
  for (const [id, body] of documents) {
    await put(`/documents/tracks/${encodeURIComponent(id)}`, body);
  }
}

async function pageOf({ ask }: BrokerWorld, query: Record<string, string>): Promise<Page> {
  const { status, text } = await ask(`/documents/tracks?${new URLSearchParams(query)}`);
  expect(status).toBe(200);
  return JSON.parse(text);
}

const idsOf = (page: Page) => page.documents.map(({ _id }) => _id);

describe("a list", () => {
  test("has what a filter is true of, in the order that is asked for", async () => {
    await using world = await startBroker();
    await fill(world);
    const ids = async (query: Record<string, string>) => idsOf(await pageOf(world, query));
    expect(await ids({ filter: '{"field":"status","eq":"ok"}' })).toEqual(["a"]);
    expect(await ids({ filter: '{"field":"status","eq":"ok + more"}' })).toEqual(["c"]);
    expect(await ids({ filter: '{"field":"status","eq":"é \u{1f600}"}' })).toEqual(["e/f"]);
    expect(await ids({ filter: '{"field":"confidence","ge":0.9}' })).toEqual(["a", "c", "e/f"]);
    expect(await ids({ filter: '{"field":"position.lat","exists":false}' })).toEqual([
      "c",
      "d",
      "e/f",
    ]);
    expect(await ids({ order: "-confidence,position.lat" })).toEqual(["d", "e/f", "c", "a", "b"]);
    const both = { filter: '{"field":"confidence","lt":1}', order: "position.lat" };
    expect(await ids(both)).toEqual(["c", "b", "a"]);
    const { count } = await pageOf(world, { filter: '{"field":"status","eq":"nothing"}' });
    expect(count).toBe(5);
  });

  test("is read page by page along its links, which keep filter and order", async () => {
    await using world = await startBroker();
    await fill(world);
    for (const query of [
      { filter: '{"field":"confidence","exists":true}' },
      { order: "-confidence" },
      { filter: '{"not":{"field":"status","eq":"+&= "}}', order: "status,-confidence" },
    ]) {
      const all = idsOf(await pageOf(world, query));
      expect(all).toHaveLength(5);
      const seen: string[] = [];
      let path: string | undefined =
        `/documents/tracks?${new URLSearchParams({ ...query, limit: "2" })}`;
      while (path !== undefined) {
        const answer = await world.ask(path);
        const page: Page = JSON.parse(answer.text);
        seen.push(...idsOf(page));
        const link = answer.headers.get("link");
        expect(link !== null).toBe(page.next !== undefined);
        path = link?.match(/^<\/api\/v1(.*)>; rel="next"$/)?.[1];
      }
      expect(seen).toEqual(all);
    }
  });

  test("says what is wrong with a filter, an order or a place", async () => {
    await using world = await startBroker();
    await fill(world);
    for (const [query, sentence] of [
      ["filter=%7B", "query parameter filter: must be JSON"],
      ["filter=", "query parameter filter: must be JSON"],
      ['filter={"field":"a","eq":1}&filter={}', "query parameter filter must be"],
      ['filter={"field":"a","near":1}', "filter.near: there is no such operator"],
      ["order=", "query parameter order: must be a comma list"],
      ["order=a&after=b", "query parameter after must be `next`"],
    ] as const) {
      const { status, text } = await world.ask(`/documents/tracks?${query}`);
      expect(status).toBe(400);
      expect(text).toContain(sentence);
    }
    const nowhere = await world.ask('/documents/nothing?filter={"field":"a","eq":1}');
    expect(nowhere.status).toBe(404);
  });

  test("takes what looks like SQL for what it is: a text", async () => {
    await using world = await startBroker();
    const texts = ["'; DROP TABLE documents; --", '") OR 1=1 --', "$.a' IS NULL) --", "?1", ":key"];
    for (const [n, text] of texts.entries()) {
      await world.put(`/documents/tracks/${n}`, JSON.stringify({ [text]: text, n }));
    }
    for (const [n, text] of texts.entries()) {
      const field = text.replaceAll(/[.[\]\\]/g, "\\$&");
      const filter = JSON.stringify({ field, eq: text });
      expect(idsOf(await pageOf(world, { filter }))).toEqual([String(n)]);
      const order = `-${field.replaceAll(/[,-]/g, "\\$&")}`;
      expect(idsOf(await pageOf(world, { order }))[0]).toBe(String(n));
    }
  });
});

test("a WebSocket client with a filter hears of documents that pass, and of every delete", async () => {
  await using world = await startBroker();
  const filter = encodeURIComponent('{"field":"position.lat","gt":48}');
  using events = await world.socket(`?include=position&filter=${filter}`);
  await events.events(1);
  await fill(world);
  await world.put("/documents/tracks/b", '{"position":{"lat":49}}');
  await world.ask("/documents/tracks/d", { method: "DELETE" });
  const told = (await events.events(4)).slice(1);
  expect(told.map(({ doc_id, action }) => [doc_id, action])).toEqual([
    ["a", "created"],
    ["b", "updated"],
    ["d", "deleted"],
  ]);
  const refused = await fetch(`${world.broker.url}/api/v1/ws?filter=1`, {
    headers: { upgrade: "websocket", connection: "Upgrade" },
  });
  expect(refused.status).toBe(400);
});

test("what can be asked is in the published description", async () => {
  await using world = await startBroker();
  const { paths } = (await (await fetch(`${world.broker.url}/openapi.json`)).json()) as {
    paths: Record<string, { get: { parameters: { name: string; in: string }[] } }>;
  };
  const namesOf = (path: string) =>
    paths[`/api/v1${path}`]?.get.parameters.filter((p) => p.in === "query").map((p) => p.name);
  expect(namesOf("/documents/{collection}")).toEqual(["limit", "after", "filter", "order"]);
  expect(namesOf("/ws")).toEqual(["collections", "since", "filter", "include"]);
});
