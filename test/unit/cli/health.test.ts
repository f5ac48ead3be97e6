// Probes against real listeners on loopback that answer as a broker does, or don't.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../../support/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "peat-probe-"));
const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true })];
afterAll(() => {
  for (const close of closers.reverse()) close();
});

interface Tls {
  readonly cert: string;
  readonly key: string;
}

/** Answers like a broker; `/echo` tells which token came. */
function listen(state: { status?: string; ready?: boolean }, tls?: Tls): number {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(tls === undefined ? {} : { tls }),
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/api/v1/health") return Response.json({ status: state.status });
      if (pathname === "/api/v1/ready") {
        const isReady = state.ready === true;
        return Response.json({ ready: isReady }, { status: isReady ? 200 : 503 });
      }
      if (pathname === "/echo") return new Response(request.headers.get("authorization"));
      return Response.json({ error: "no such route", status: 404 }, { status: 404 });
    },
  });
  closers.push(() => server.stop(true));
  return server.port ?? 0;
}

/** Of the settings, where a test asks somebody else. */
const NOBODY_PORT = 9;

function run(port: number, args: readonly string[], environment: Record<string, string> = {}) {
  return runCommand(args, {
    program: "peat-mesh-node",
    environment: { PEAT_BROKER_PORT: String(port), PEAT_RUNTIME_DIR: folder, ...environment },
  });
}

describe("health", () => {
  test("prints the answer and succeeds when the node is healthy, without any secret set", async () => {
    const { code, stdout } = await run(listen({ status: "healthy" }), ["health"]);
    expect([code, stdout]).toEqual([0, '{"status":"healthy"}\n']);
  });

  test("fails when the answer is another", async () => {
    const { code, stderr } = await run(listen({ status: "sick" }), ["health"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^peat-mesh-node: http:\/\/127.0.0.1:\d+ is not healthy\n$/);
  });

  test("--ready asks for readiness", async () => {
    const yes = await run(listen({ ready: true }), ["health", "--ready"]);
    expect([yes.code, yes.stdout]).toEqual([0, '{"ready":true}\n']);
    const no = await run(listen({ ready: false }), ["health", "--ready"]);
    expect([no.code, no.stdout]).toEqual([1, '{"ready":false}\n']);
  });

  test("nobody there is one sentence with the address", async () => {
    const port = listen({});
    closers.pop()?.();
    const { code, stderr } = await run(port, ["health"]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `peat-mesh-node: no answer from http://127.0.0.1:${port}/api/v1/health: connection refused; is the node running?\n`,
    );
  });

  test("a listener that says nothing is given up after the time-out", async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(() => server.close());
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const { code, stderr } = await run(port, ["health", "--timeout", "0.2"]);
    expect(code).toBe(1);
    expect(stderr).toContain("none within 200 ms");
  });
});

describe("get", () => {
  test("prints what the broker answers", async () => {
    const { code, stdout } = await run(listen({ status: "healthy" }), ["get", "/api/v1/health"]);
    expect([code, stdout]).toEqual([0, '{"status":"healthy"}\n']);
  });

  test("a refusal is printed, told and seen in the exit code", async () => {
    const { code, stdout, stderr } = await run(listen({}), ["get", "/nowhere"]);
    expect(code).toBe(1);
    expect(stdout).toContain("no such route");
    expect(stderr).toContain("status 404");
  });

  test("sends the configured token, else the one that the node left for its users", async () => {
    const port = listen({});
    expect((await run(port, ["get", "/echo"])).stdout).toBe("");
    writeFileSync(join(folder, "token"), "left-by-the-node\n");
    expect((await run(port, ["get", "/echo"])).stdout).toBe("Bearer left-by-the-node\n");
    const configured = await run(port, ["get", "/echo"], { PEAT_API_TOKEN: "configured-token" });
    expect(configured.stdout).toBe("Bearer configured-token\n");
  });
});

describe("put and delete", () => {
  function listenForWrites() {
    const requests: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const type = request.headers.get("content-type") ?? "";
        requests.push(`${request.method} ${type} ${await request.text()}`);
        return Response.json({ ok: true }, { status: request.method === "PUT" ? 201 : 200 });
      },
    });
    closers.push(() => server.stop(true));
    return { port: server.port ?? 0, requests };
  }

  test("send the JSON that is given, and print the answer", async () => {
    const { port, requests } = listenForWrites();
    const put = await run(port, ["put", "/api/v1/documents/a/b", '{"lat":47.37}']);
    expect([put.code, put.stdout]).toEqual([0, '{"ok":true}\n']);
    expect((await run(port, ["delete", "/api/v1/documents/a/b"])).code).toBe(0);
    expect(requests).toEqual(['PUT application/json {"lat":47.37}', "DELETE  "]);
  });

  test("need a path, and put a body", async () => {
    expect((await run(NOBODY_PORT, ["put", "/x"])).code).toBe(64);
    expect((await run(NOBODY_PORT, ["delete", "x"])).code).toBe(64);
  });
});

describe("--url", () => {
  const urlOf = (port: number) => `http://127.0.0.1:${port}`;

  test("asks another broker than the settings say, for get and for health", async () => {
    const url = urlOf(listen({ status: "healthy" }));
    for (const args of [["get", "/api/v1/health"], ["health"]]) {
      const { code, stdout } = await run(NOBODY_PORT, [...args, "--url", url]);
      expect([code, stdout]).toEqual([0, '{"status":"healthy"}\n']);
    }
  });

  test("a path in it goes before the one that is asked for", async () => {
    const url = `${urlOf(listen({ status: "healthy" }))}/api/`;
    const { code, stdout } = await run(NOBODY_PORT, ["get", "/v1/health", "--url", url]);
    expect([code, stdout]).toEqual([0, '{"status":"healthy"}\n']);
  });

  test("is sent the configured token and never the one of the node on this machine", async () => {
    writeFileSync(join(folder, "token"), "left-by-the-node\n");
    const args = ["get", "/echo", "--url", urlOf(listen({}))];
    expect((await run(NOBODY_PORT, args)).stdout).toBe("");
    const configured = await run(NOBODY_PORT, args, { PEAT_API_TOKEN: "configured-token" });
    expect(configured.stdout).toBe("Bearer configured-token\n");
  });

  test("nobody there is status 75 and the address", async () => {
    const url = `http://[::1]:${NOBODY_PORT}`;
    const { code, stderr } = await run(NOBODY_PORT, ["get", "/api/v1/health", "--url", url]);
    expect(code).toBe(75);
    expect(stderr).toContain(`no answer from ${url}/api/v1/health: connection refused`);
  });

  test.each([
    "10.0.0.7:8081",
    "ftp://10.0.0.7",
    "http://user:word@10.0.0.7",
    "http://10.0.0.7?a=b",
    "",
  ])("refuses what is no address of a broker: %p", async (url) => {
    const { code, stderr } = await run(NOBODY_PORT, ["get", "/", `--url=${url}`]);
    expect(code).toBe(64);
    expect(stderr).toContain("--url");
  });
});

/** A certificate that no client trusts, for a name that is not this machine's. */
function makeCertificate(name: string): { readonly path: string; readonly tls: Tls } {
  const path = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-subj", `/CN=${name}.example`, "-keyout", key, "-out", path],
  ]);
  expect(made.exitCode).toBe(0);
  return { path, tls: { cert: readFileSync(path, "utf8"), key: readFileSync(key, "utf8") } };
}

describe.skipIf(Bun.which("openssl") === null)("TLS (needs openssl)", () => {
  const environment = (path: string) => ({
    PEAT_TLS_CERT: path,
    PEAT_TLS_KEY: path,
    PEAT_API_TOKEN: "configured-token",
  });

  test("the configured certificate is trusted, whatever its name", async () => {
    const { path, tls } = makeCertificate("own");
    const { code, stdout } = await run(listen({}, tls), ["get", "/echo"], environment(path));
    expect([code, stdout]).toEqual([0, "Bearer configured-token\n"]);
  });

  test("a broker by its URL must have a certificate that this machine trusts for its name", async () => {
    const { path, tls } = makeCertificate("far");
    const url = `https://127.0.0.1:${listen({}, tls)}`;
    const args = ["get", "/echo", "--url", url];
    const { code, stdout } = await run(NOBODY_PORT, args, environment(path));
    expect([code, stdout]).toEqual([75, ""]);
  });

  test("any other certificate is refused, before the token is sent", async () => {
    const other = makeCertificate("other");
    const own = makeCertificate("mine");
    let requests = 0;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: other.tls,
      fetch() {
        requests += 1;
        return new Response("gotcha");
      },
    });
    closers.push(() => server.stop(true));
    const ran = await run(server.port ?? 0, ["get", "/echo"], environment(own.path));
    expect(ran.code).toBe(75);
    expect(ran.stdout).toBe("");
    expect(ran.stderr).toContain("the certificate is not the one of PEAT_TLS_CERT");
    expect(requests).toBe(0);
  });
});
