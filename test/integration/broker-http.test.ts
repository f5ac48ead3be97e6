import { describe, expect, test } from "bun:test";
import { compareText } from "../../src/base/text.ts";
import { openFileStore, tamper } from "../support/file-store.ts";
import { put } from "../support/memory-store.ts";
import { JSON_TYPE, startBroker, TOKEN } from "../support/start-broker.ts";
import { tempFolder } from "../support/temp-folder.ts";

const DOCUMENT = "/documents/tracks/t1";

describe("the node's routes", () => {
  test("answer in the older node's words, keys in their order", async () => {
    await using world = await startBroker();
    const { ask, node } = world;
    expect((await ask("/health")).text).toBe('{"status":"healthy","node_id":"node-a"}');
    expect((await ask("/ready")).text).toBe('{"ready":true,"node_id":"node-a","checks":[]}');
    node.startedAt -= 3_600_000;
    expect((await ask("/node")).text).toMatch(
      /^\{"node_id":"node-a","uptime_secs":360\d,"version":"1\.2\.3"\}$/,
    );
    expect((await ask("/peers")).text).toBe('{"count":0,"peers":[]}');
    expect((await ask("/topology")).text).toBe(
      '{"hierarchy_level":0,"peer_count":0,"role":"standalone"}',
    );
    node.connect("node-b");
    node.connect("node-c");
    node.disconnect("node-c", "lost");
    const peers = JSON.parse((await ask("/peers")).text);
    expect(peers.count).toBe(2);
    expect(Object.keys(peers.peers[0])).toEqual(Object.keys(peers.peers[0]).toSorted(compareText));
    expect(peers.peers[0]).toMatchObject({ id: "node-b", connected: true, rtt_ms: 1 });
    expect((await ask("/peers/node-b")).text).toBe(
      `{"address":"127.0.0.1:11204","connected":true,"connected_at_ms":1799999000000,"dialect":"native","endpoint_id":"${"ab".repeat(32)}","id":"node-b","in_sync":false,"lag_ms":12,"last_failure":null,"last_seen_ms":1800000000000,"neighbours":null,"path":"direct","queued":3,"received_bytes":20,"rtt_ms":1,"secret_tag":"00112233","sent_bytes":10,"state":"connected","version":"0.9.1"}`,
    );
    expect((await ask("/peers/nobody")).text).toBe(
      '{"error":"peer not found: nobody","status":404}',
    );
    expect((await ask("/topology")).text).toBe(
      '{"hierarchy_level":0,"peer_count":1,"role":"member"}',
    );
  });

  test("are not ready, with the reason, while a check does not hold", async () => {
    await using world = await startBroker();
    world.node.checks = [
      { name: "store", ready: true, message: null },
      { name: "discovery", ready: false, message: "starting" },
    ];
    const { status, text } = await world.ask("/ready");
    expect(status).toBe(503);
    expect(text).toBe(
      '{"ready":false,"node_id":"node-a","checks":[{"name":"store","ready":true,"message":null},{"name":"discovery","ready":false,"message":"starting"}]}',
    );
  });

  test("answer HEAD like GET without a body, and OPTIONS on every path", async () => {
    await using world = await startBroker();
    await world.put(DOCUMENT, '{"a":1}');
    for (const path of ["/health", DOCUMENT, "/documents/tracks"]) {
      const head = await world.ask(path, { method: "HEAD" });
      const get = await world.ask(path);
      expect(head.status).toBe(200);
      expect(head.text).toBe("");
      expect(head.headers.get("content-length")).toBe(String(get.text.length));
      expect(head.headers.get("etag")).toBe(get.headers.get("etag"));
      expect((await world.ask(path, { method: "OPTIONS" })).status).toBe(200);
    }
    expect((await world.ask("/nowhere", { method: "OPTIONS" })).status).toBe(200);
  });
});

describe("a document", () => {
  test("is created, replaced, patched, read and deleted", async () => {
    await using world = await startBroker();
    const { ask, put } = world;
    const created = await put(DOCUMENT, '{ "z": 5.0, "big": 9007199254740993, "a": {"x":null} }');
    expect(created.status).toBe(201);
    expect(created.text).toBe(
      '{"collection":"tracks","document":{"_id":"t1","a":{"x":null},"big":9007199254740993,"z":5.0},"id":"t1"}',
    );
    expect(created.headers.get("content-type")).toBe("application/json");
    const read = await ask(DOCUMENT);
    expect(read.status).toBe(200);
    expect(read.text).toBe(created.text);
    expect(read.headers.get("etag")).toMatch(/^"[0-9a-f]{32}"$/);
    expect(read.headers.get("etag")).toBe(created.headers.get("etag"));
    const patched = await ask(DOCUMENT, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: '{"z":null,"a":{"y":[1]}}',
    });
    expect(patched.status).toBe(200);
    expect(JSON.parse(patched.text).document).toEqual({
      _id: "t1",
      a: { x: null, y: [1] },
      big: JSON.parse("9007199254740993"),
    });
    expect(patched.headers.get("etag")).not.toBe(created.headers.get("etag"));
    const replaced = await put(DOCUMENT, '{"only":true}');
    expect(replaced.status).toBe(200);
    expect(replaced.text).toBe(
      '{"collection":"tracks","document":{"_id":"t1","only":true},"id":"t1"}',
    );
    const deleted = await ask(DOCUMENT, { method: "DELETE" });
    expect(deleted.status).toBe(200);
    expect(deleted.text).toBe('{"collection":"tracks","document":null,"id":"t1"}');
    const gone = await ask(DOCUMENT);
    expect(gone.status).toBe(404);
    expect(gone.text).toBe('{"error":"document not found: tracks/t1","status":404}');
    expect((await ask(DOCUMENT, { method: "DELETE" })).status).toBe(404);
    expect((await put(DOCUMENT, "{}")).status).toBe(201);
  });

  test("that the disk has damaged is not absent while a peer may still send it", async () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    const before = openFileStore(path).store;
    await put(before, "tracks:t1", { n: 1 });
    before.close();
    tamper(path, "UPDATE documents SET json = '{}'");
    const { store } = openFileStore(path);
    await using world = await startBroker({ store });
    const { status, text } = await world.ask(DOCUMENT);
    expect(status).toBe(503);
    expect(text).toMatch(
      /tracks\/t1 was damaged on this node's disk.*try again, in \d+ s at the latest/,
    );
    await world.broker.close();
    store.close();
  });

  test("has the id of its path over an _id of its own, and can be sent back as it was read", async () => {
    await using world = await startBroker();
    const own = await world.put(DOCUMENT, '{"_id":"mine","v":1}');
    expect(JSON.parse(own.text).document).toEqual({ _id: "t1", v: 1 });
    expect(world.store.list("tracks", { limit: 1 })[0]?.json).toBe('{"_id":"mine","v":1}');
    const { text, headers } = await world.put("/documents/tracks/t2", '{"v":1}');
    const back = await world.put("/documents/tracks/t2", JSON.stringify(JSON.parse(text).document));
    expect(back.status).toBe(200);
    expect(world.store.list("tracks", { limit: 1, after: "t1" })[0]?.json).toBe('{"v":1}');
    expect(headers.get("etag")).not.toBeNull();
  });

  test.each(["a/b", "ä ö", "a%2Fb", "..hidden", "x?y#z", "per:cent:100%", "日本", "a+b", "'\""])(
    "is found by its percent-encoded id: %p",
    async (id) => {
      await using world = await startBroker();
      const path = `/documents/tracks/${encodeURIComponent(id)}`;
      expect((await world.put(path, "{}")).status).toBe(201);
      const { status, text } = await world.ask(path);
      expect(status).toBe(200);
      expect(JSON.parse(text)).toEqual({ collection: "tracks", document: { _id: id }, id });
      const list = JSON.parse((await world.ask("/documents/tracks")).text);
      expect(list.documents).toEqual([{ _id: id }]);
    },
  );
});

describe("a conditional request", () => {
  test("writes only what is in the state that the writer saw", async () => {
    await using world = await startBroker();
    const { put, ask } = world;
    const first = await put(DOCUMENT, '{"v":1}', { "if-none-match": "*" });
    expect(first.status).toBe(201);
    const etag = first.headers.get("etag") ?? "";
    expect((await put(DOCUMENT, '{"v":2}', { "if-none-match": "*" })).status).toBe(412);
    const second = await put(DOCUMENT, '{"v":2}', { "if-match": etag });
    expect(second.status).toBe(200);
    const late = await put(DOCUMENT, '{"v":3}', { "if-match": etag });
    expect(late.status).toBe(412);
    expect(JSON.parse(late.text).error).toContain(`If-Match does not hold`);
    expect(late.text).toContain((second.headers.get("etag") ?? "").replaceAll('"', '\\"'));
    const remove = { method: "DELETE", headers: { "if-match": etag } };
    expect((await ask(DOCUMENT, remove)).status).toBe(412);
    expect((await put("/documents/tracks/t9", "{}", { "if-match": "*" })).status).toBe(412);
  });

  test("reads nothing that the reader has", async () => {
    await using world = await startBroker();
    const etag = (await world.put(DOCUMENT, '{"v":1}')).headers.get("etag") ?? "";
    const known = await world.ask(DOCUMENT, { headers: { "if-none-match": `"x", W/${etag}` } });
    expect(known.status).toBe(304);
    expect(known.text).toBe("");
    expect(known.headers.get("etag")).toBe(etag);
    expect((await world.ask(DOCUMENT, { headers: { "if-none-match": '"x"' } })).status).toBe(200);
    expect((await world.ask(DOCUMENT, { headers: { "if-match": '"x"' } })).status).toBe(412);
  });

  test("that is malformed is refused by the header's name, and writes nothing", async () => {
    await using world = await startBroker();
    const { status, text } = await world.put(DOCUMENT, "{}", { "if-match": "abc" });
    expect(status).toBe(400);
    expect(text).toContain("If-Match must be");
    expect((await world.ask(DOCUMENT)).status).toBe(404);
  });
});

describe("a list", () => {
  test("gives every document once, in the order of keys, page after page", async () => {
    await using world = await startBroker();
    const ids = Array.from({ length: 150 }, (_, i) => `t${String(i).padStart(3, "0")}`);
    await Promise.all(ids.toReversed().map((id) => world.put(`/documents/tracks/${id}`, "{}")));
    await world.put("/documents/trackz/other", "{}");
    const all = JSON.parse((await world.ask("/documents/tracks")).text);
    expect(Object.keys(all)).toEqual(["collection", "count", "documents"]);
    expect(all.count).toBe(150);
    expect(all.documents.map((d: { _id: string }) => d._id)).toEqual(ids);
    const seen: string[] = [];
    let path: string | undefined = "/documents/tracks?limit=70";
    while (path !== undefined) {
      const { text, headers } = await world.ask(path);
      const page = JSON.parse(text);
      expect(page.count).toBe(150);
      seen.push(...page.documents.map((d: { _id: string }) => d._id));
      const link = /^<\/api\/v1(\S+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
      expect(link === undefined).toBe(page.next === undefined);
      path = link;
    }
    expect(seen).toEqual(ids);
  });

  test("goes on after the id that it is told, whether there is one or not", async () => {
    await using world = await startBroker();
    for (const id of ["a", "b%2F1", "c"]) await world.put(`/documents/tracks/${id}`, "{}");
    const ids = async (query: string) => {
      const { documents, next } = JSON.parse((await world.ask(`/documents/tracks${query}`)).text);
      return { ids: documents.map((d: { _id: string }) => d._id), next };
    };
    expect(await ids("?after=aa&limit=1")).toEqual({ ids: ["b/1"], next: "b/1" });
    expect(await ids("?after=b%2F1")).toEqual({ ids: ["c"], next: undefined });
    expect(await ids("?after=c")).toEqual({ ids: [], next: undefined });
    expect(await ids("?limit=3")).toEqual({ ids: ["a", "b/1", "c"], next: undefined });
  });

  test("ends a page early when its documents are large, and never before the first", async () => {
    await using world = await startBroker({ limits: { pageBytesMax: 1000 } });
    for (const id of ["a", "b", "c"]) {
      await world.put(`/documents/tracks/${id}`, JSON.stringify({ text: "x".repeat(700) }));
    }
    const page = JSON.parse((await world.ask("/documents/tracks")).text);
    expect(page.documents).toHaveLength(1);
    expect(page.next).toBe("a");
  });

  test("of a collection without documents is not available, in the older node's words", async () => {
    await using world = await startBroker();
    const { status, text } = await world.ask("/documents/tracks");
    expect(status).toBe(404);
    expect(text).toBe('{"error":"collection not available: tracks","status":404}');
  });

  test("of collections counts their documents", async () => {
    await using world = await startBroker();
    await world.put("/documents/b/1", "{}");
    await world.put("/documents/a/1", "{}");
    await world.put("/documents/a/2", "{}");
    expect((await world.ask("/collections")).text).toBe(
      '{"collections":[{"count":2,"name":"a"},{"count":1,"name":"b"}],"count":2}',
    );
    const summary = JSON.parse((await world.ask("/summary")).text);
    expect(summary).toMatchObject({ documents: 3, tombstones: 0 });
    expect(summary.root_hash).toBe(world.store.summary().rootHash);
  });
});

describe("the published description", () => {
  test("has every route that is served, and only those", async () => {
    await using world = await startBroker();
    const response = await fetch(`${world.broker.url}/openapi.json`);
    const { openapi, paths, components } = (await response.json()) as {
      openapi: string;
      paths: Record<string, Record<string, { summary: string; responses: object }>>;
      components: { schemas: object };
    };
    expect(openapi).toStartWith("3.1");
    const told = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    const expected = [
      ...["health", "ready", "node", "peers", "peers/{id}", "topology", "summary", "collections"],
      ...[
        "documents/{collection}",
        "documents/{collection}/{id}",
        "documents/{collection}/{id}/history",
        "set-aside",
        "ws",
      ],
      ...[
        "status",
        "attachments",
        "attachments/{id}",
        "attachment-roots",
        "sync",
        "logs",
        "log-filter",
        "config",
        "doctor",
        "explain/{collection}/{id}",
      ],
    ].map((path) => `get /api/v1/${path}`);
    const writes = ["put", "patch", "delete"].map(
      (m) => `${m} /api/v1/documents/{collection}/{id}`,
    );
    const aside = ["delete /api/v1/set-aside/{id}", "post /api/v1/set-aside/{id}/restore"];
    const orders = [
      "post /api/v1/attachments",
      "delete /api/v1/attachments/{id}",
      "put /api/v1/sync",
      "put /api/v1/log-filter",
      "post /api/v1/database-holds",
      "put /api/v1/database-holds/{id}",
      "delete /api/v1/database-holds/{id}",
    ];
    const all = [...expected, ...writes, ...aside, ...orders, "get /openapi.json", "get /metrics"];
    expect(told.toSorted(compareText)).toEqual(all.toSorted(compareText));
    for (const methods of Object.values(paths)) {
      for (const { summary, responses } of Object.values(methods)) {
        expect(summary).not.toBe("");
        expect(Object.keys(responses).length).toBeGreaterThan(0);
      }
    }
    const text = JSON.stringify(paths);
    for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) {
      expect(components.schemas).toHaveProperty(name ?? "");
    }
  });

  test("lists the same path for which other methods are refused", async () => {
    await using world = await startBroker();
    const { status, headers, text } = await world.ask(DOCUMENT, {
      method: "POST",
      headers: { ...JSON_TYPE, authorization: `Bearer ${TOKEN}` },
      body: "{}",
    });
    expect(status).toBe(405);
    expect(headers.get("allow")).toBe("GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    expect(JSON.parse(text)).toMatchObject({ status: 405 });
  });
});
