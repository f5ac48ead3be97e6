// The dashboard as the broker serves it: who gets it, under which policy, and how its WebSocket proves who it is.
import { describe, expect, test } from "bun:test";
import { bundlePage } from "../../src/dashboard/bundle.ts";
import { Dashboard } from "../../src/dashboard/page.ts";
import { type BrokerWorld, EventClient, startBroker, TOKEN } from "../support/start-broker.ts";

const PAGE_BYTES_MAX = 200 * 1024;

function startWithPage(access: Parameters<typeof startBroker>[0] = {}): Promise<BrokerWorld> {
  return startBroker({ dashboard: new Dashboard().page, ...access });
}

function askPage({ broker }: BrokerWorld, request: RequestInit = {}): Promise<Response> {
  return fetch(`${broker.url}/`, { ...request, decompress: false });
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("base64");
}

function textIn(html: string, element: string): string {
  const match = new RegExp(`<${element}[^>]*>([\\s\\S]*?)</${element}>`).exec(html);
  return match?.[1] ?? "";
}

describe("the dashboard", () => {
  test("is one page of bounded size that loads nothing, and its policy names just its script and style", async () => {
    await using world = await startWithPage();
    const response = await askPage(world, { headers: { "accept-encoding": "identity" } });
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(html.length).toBeLessThan(PAGE_BYTES_MAX);
    expect(html).not.toMatch(/(?:src|href)="(?!data:|#)/);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy.split("; ")).toEqual([
      "default-src 'none'",
      `script-src 'sha256-${sha256(textIn(html, "script"))}'`,
      `style-src 'sha256-${sha256(textIn(html, "style"))}'`,
      "connect-src 'self'",
      "img-src data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ]);
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("x-frame-options")).toBe("DENY");
  });

  test("comes packed for who takes that, and not again for who has it", async () => {
    await using world = await startWithPage();
    const packed = await askPage(world, { headers: { "accept-encoding": "br;q=1, gzip" } });
    const plain = await askPage(world, { headers: { "accept-encoding": "gzip;q=0" } });
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect(plain.headers.get("content-encoding")).toBeNull();
    const text = await plain.text();
    expect(new TextDecoder().decode(Bun.gunzipSync(await packed.arrayBuffer()))).toBe(text);
    expect(packed.headers.get("vary")).toBe("accept-encoding");
    const etag = packed.headers.get("etag") ?? "";
    const again = await askPage(world, { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe("");
    const head = await askPage(world, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("is given without the token, unlike everything that it asks for", async () => {
    await using world = await startWithPage({ access: { reads: "token" } });
    expect((await askPage(world)).status).toBe(200);
    expect((await world.ask("/peers")).status).toBe(401);
    expect((await askPage(world, { method: "POST" })).status).toBe(405);
  });

  test("is made alike from the same sources, and has none of the node in it", async () => {
    const [one, other] = await Promise.all([bundlePage(), bundlePage()]);
    expect(one).toEqual(other);
    expect(one.html).not.toContain("node-a");
    expect(one.html).not.toContain(TOKEN);
  });

  test("is not there for a broker that is given none", async () => {
    await using world = await startBroker();
    expect((await askPage(world)).status).toBe(404);
  });

  test("is no route of the API's description", async () => {
    await using world = await startWithPage();
    const answer = await fetch(`${world.broker.url}/openapi.json`);
    const description: { paths: object } = JSON.parse(await answer.text());
    expect(Object.keys(description.paths)).not.toContain("/");
  });
});

describe("a browser's WebSocket, where reads need the token", () => {
  const url = ({ broker }: BrokerWorld) => `${broker.url}/api/v1/ws`;
  const bearer = (token: string) => `peat.bearer.${Buffer.from(token).toString("base64url")}`;

  test("proves itself by its protocols, and is answered with the one that is no secret", async () => {
    await using world = await startWithPage({ access: { reads: "token" } });
    const protocols = { "sec-websocket-protocol": `peat.events, ${bearer(TOKEN)}` };
    using client = await EventClient.open(url(world), protocols);
    await world.put("/documents/tracks/t1", "{}", { authorization: `Bearer ${TOKEN}` });
    expect((await client.events(1))[0]).toMatchObject({ doc_id: "t1" });
    const answer = await world.send(
      `GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: peat.events, ${bearer("wrong")}\r\n\r\n`,
    );
    expect(answer).toStartWith("HTTP/1.1 401");
  });

  test("proves nothing by them on any other request", async () => {
    await using world = await startWithPage({ access: { reads: "token" } });
    const headers = { "sec-websocket-protocol": bearer(TOKEN) };
    expect((await world.ask("/peers", { headers })).status).toBe(401);
  });
});
