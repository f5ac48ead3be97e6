// The broker inside the compiled executable: bundled and minified, its routes answer in the same words.
import { beforeAll, expect, test } from "bun:test";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { EventClient, JSON_TYPE } from "../support/start-broker.ts";

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

test("the executable's broker answers as the one run from source", async () => {
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
  const node = await formation.start(0);
  await node.ready();
  const api = `${node.api.url}/api/v1`;
  const ask = async (path: string, request: RequestInit = {}) => {
    const response = await fetch(api + path, request);
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
  expect((await ask("/health")).text).toBe('{"status":"healthy","node_id":"node-0"}');
  expect((await ask("/ready")).text).toStartWith('{"ready":true,"node_id":"node-0","checks":[');
  expect((await ask("/node")).text).toMatch(
    /^\{"node_id":"node-0","uptime_secs":\d+,"version":"[^"]+"\}$/,
  );
  expect((await ask("/peers")).text).toBe('{"count":0,"peers":[]}');
  expect((await ask("/topology")).text).toBe(
    '{"hierarchy_level":0,"peer_count":0,"role":"standalone"}',
  );
  using client = await EventClient.open(`${api}/ws?include=document`);
  const document = {
    method: "PUT",
    headers: JSON_TYPE,
    body: '{"big":9223372036854775807,"f":5.0}',
  };
  const written = await ask("/documents/tracks/t1", document);
  expect(written.status).toBe(201);
  expect(written.text).toBe(
    '{"collection":"tracks","document":{"_id":"t1","big":9223372036854775807,"f":5.0},"id":"t1"}',
  );
  expect((await client.events(2))[1]).toMatchObject({ type: "SyncEvent", action: "created" });
  const etag = written.headers.get("etag") ?? "";
  const known = await ask("/documents/tracks/t1", { headers: { "if-none-match": etag } });
  expect(known.status).toBe(304);
  const refused = await ask("/documents/tracks/t1", { ...document, body: "[" });
  expect([refused.status, JSON.parse(refused.text).status]).toEqual([400, 400]);
  const wrongMethod = await ask("/health", { method: "POST" });
  expect([wrongMethod.status, wrongMethod.headers.get("allow")]).toEqual([
    405,
    "GET, HEAD, OPTIONS",
  ]);
  expect((await ask("/nowhere")).text).toBe(
    '{"error":"there is no path /api/v1/nowhere","status":404}',
  );
  const description = await fetch(`${node.api.url}/openapi.json`);
  const { paths } = (await description.json()) as { paths: object };
  expect(Object.keys(paths)).toContain("/api/v1/documents/{collection}/{id}");
  expect(Object.keys(paths)).toContain("/api/v1/ws");
}, 60_000);
