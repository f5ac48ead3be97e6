// Who may call a listener: with a token, from where, for the pages of which origins; and what probes are told.
import { describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { waitFor } from "../../scripts/support/waiting.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/rpc/gen/grpc/health/v1/health_pb.ts";
import { Flag, FrameType, frame, headerBlock, RawHttp2 } from "../support/raw-http2.ts";
import { codeOf, patientClock, type RpcWorld, startRpc, TOKEN } from "../support/start-rpc.ts";

const LIMIT_MS = 10_000;
const PATH = "/peat.sidecar.v1.PeatSidecar/GetDocument";
const NOTE = { collection: "notes", docId: "a" };

const OPEN_TCP = { listen: [{ kind: "tcp", host: "0.0.0.0", port: 0 }] } as const;

function withToken(world: RpcWorld, token?: string, more: Record<string, string> = {}) {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (["connect", "grpc", "grpc-web"] as const).map((protocol) =>
    world.client({ protocol, headers: { ...authorization, ...more } }),
  );
}

describe("a listener beyond loopback", () => {
  test("answers only who sends the token, reads too, and tells why", async () => {
    await using world = await startRpc(OPEN_TCP);
    for (const client of withToken(world)) {
      const failure = await client.getDocument(NOTE).catch((e: unknown) => ConnectError.from(e));
      if (!(failure instanceof ConnectError)) throw new Error("the call was answered");
      expect(failure.code).toBe(Code.Unauthenticated);
      expect(failure.rawMessage).toContain("PEAT_API_TOKEN");
    }
    for (const client of withToken(world, "wrong")) {
      expect(await codeOf(client.getDocument(NOTE))).toBe(Code.Unauthenticated);
    }
    for (const client of withToken(world, TOKEN)) {
      expect(await codeOf(client.getDocument(NOTE))).toBeUndefined();
    }
  });

  test("tells probes whether the node is ready, without a token", async () => {
    let isReady = false;
    await using world = await startRpc({ ...OPEN_TCP, parts: { isReady: () => isReady } });
    const health = world.clientOf(Health, { protocol: "grpc" });
    expect((await health.check({})).status).toBe(Status.NOT_SERVING);
    isReady = true;
    const service = "peat.sidecar.v1.PeatSidecar";
    expect((await health.check({ service })).status).toBe(Status.SERVING);
    expect(await codeOf(health.check({ service: "no.such.Service" }))).toBe(Code.NotFound);
    expect(Object.keys((await health.list({})).statuses)).toContain(service);
  });
});

test("who watches the health of a node is told each change, and its end", async () => {
  let isReady = false;
  await using world = await startRpc({ parts: { isReady: () => isReady }, clock: patientClock });
  const health = world.clientOf(Health, { protocol: "grpc" });
  const watch = health.watch({})[Symbol.asyncIterator]();
  expect((await watch.next()).value?.status).toBe(Status.NOT_SERVING);
  isReady = true;
  expect((await watch.next()).value?.status).toBe(Status.SERVING);
  const unknown = health.watch({ service: "no.such.Service" })[Symbol.asyncIterator]();
  expect((await unknown.next()).value?.status).toBe(Status.SERVICE_UNKNOWN);
  const last = watch.next();
  const end = last.then(() => codeOf(watch.next()));
  await world.server.close();
  expect((await last).value?.status).toBe(Status.NOT_SERVING);
  expect(await end).toBe(Code.Unavailable);
});

describe("a listener on loopback", () => {
  test("needs no token, but no wrong one either", async () => {
    await using world = await startRpc();
    for (const client of withToken(world)) {
      expect(await codeOf(client.getDocument(NOTE))).toBeUndefined();
    }
    for (const client of withToken(world, "wrong")) {
      expect(await codeOf(client.getDocument(NOTE))).toBe(Code.Unauthenticated);
    }
  });

  test("answers no page of another origin, and no name that is not of this machine", async () => {
    await using world = await startRpc();
    for (const client of withToken(world, TOKEN, { origin: "https://evil.example" })) {
      expect(await codeOf(client.getDocument(NOTE))).toBe(Code.PermissionDenied);
    }
    const rebound = await fetch(world.url() + PATH, {
      method: "POST",
      headers: { host: "evil.example", "content-type": "application/json" },
      body: "{}",
    });
    expect(rebound.status).toBe(403);
    expect(await rebound.json()).toMatchObject({ code: "permission_denied" });
  });

  test("lets the pages of a named origin in, by a preflight too", async () => {
    const origin = "https://app.example";
    await using world = await startRpc({ access: { corsOrigins: [origin] } });
    for (const client of withToken(world, TOKEN, { origin })) {
      expect(await codeOf(client.getDocument(NOTE))).toBeUndefined();
    }
    const preflight = await fetch(world.url() + PATH, { method: "OPTIONS", headers: { origin } });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("Connect-Timeout-Ms");
    const other = await fetch(world.url() + PATH, {
      method: "OPTIONS",
      headers: { origin: "https://evil.example" },
    });
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("a unix socket", () => {
  test("needs no token, and looks at no host", async () => {
    await using world = await startRpc({ isUnix: true });
    for (const client of withToken(world)) {
      expect(await codeOf(client.getDocument(NOTE))).toBeUndefined();
    }
  });
});

test("a unix socket has no host: a client may name what it likes, as gRPC's does the path", async () => {
  await using world = await startRpc({ isUnix: true });
  for (const authority of ["%2Ftmp%2Fpeat.sock", "elsewhere.example"]) {
    using client = new RawHttp2(await world.connect());
    const stream = client.newStream();
    const head = headerBlock({
      ":method": "POST",
      ":scheme": "http",
      ":authority": authority,
      ":path": PATH,
      "content-type": "application/json",
    });
    const body = new TextEncoder().encode(JSON.stringify(NOTE));
    client.write(
      frame(FrameType.headers, Flag.endHeaders, stream, head),
      frame(FrameType.data, Flag.endStream, stream, body),
    );
    await waitFor(authority, LIMIT_MS, () => client.hasEnded(stream) || undefined);
    const [data] = client.of(stream, FrameType.data);
    expect([authority, new TextDecoder().decode(data?.payload)]).toEqual([authority, "{}"]);
  }
});
