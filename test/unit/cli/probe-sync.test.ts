// The probe of sync against real listeners on loopback that keep documents as brokers do, badly where a test says so.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { runCommand } from "../../support/run-command.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const closers: (() => unknown)[] = [];
afterAll(() => {
  for (const close of closers.reverse()) close();
});

interface Faults {
  /** Reads of a document that fail first: not there yet, or not ready. */
  readonly misses?: readonly (404 | 503)[];
  /** Another value than the one written. */
  readonly isForged?: boolean;
  /** Writes that are answered with 503 first. */
  readonly unreadyWrites?: number;
  readonly token?: string;
  readonly refusesDelete?: boolean;
}

interface Tls {
  readonly cert: string;
  readonly key: string;
}

/** A broker; several share documents when their stores are the same map. */
function listen(documents: Map<string, unknown>, faults: Faults = {}, tls?: Tls) {
  const misses = [...(faults.misses ?? [])];
  let unreadyWrites = faults.unreadyWrites ?? 0;
  const seen = { writes: 0, reads: 0 };
  const refuse = (status: number, error: string) => Response.json({ error, status }, { status });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(tls === undefined ? {} : { tls }),
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const isRead = request.method === "GET";
      if (isRead) seen.reads += 1;
      else seen.writes += 1;
      if (!isRead && faults.token !== undefined) {
        const sent = request.headers.get("authorization");
        if (sent !== `Bearer ${faults.token}`) return refuse(401, "writing here needs a token");
      }
      if (request.method === "PUT") {
        if (unreadyWrites > 0) {
          unreadyWrites -= 1;
          return refuse(503, "starting");
        }
        documents.set(pathname, await request.json());
        return Response.json({}, { status: 201 });
      }
      if (request.method === "DELETE") {
        if (faults.refusesDelete) return refuse(409, "kept for good");
        documents.delete(pathname);
        return new Response(null, { status: 204 });
      }
      const miss = misses.shift();
      if (miss !== undefined) return refuse(miss, "not now");
      if (!documents.has(pathname)) return refuse(404, "no such document");
      const document = faults.isForged ? { nonce: "another" } : documents.get(pathname);
      return Response.json({ collection: "peat-probe", document, id: "x" });
    },
  });
  closers.push(() => server.stop(true));
  const scheme = tls === undefined ? "http" : "https";
  return { url: `${scheme}://127.0.0.1:${server.port}`, seen };
}

function probe(args: readonly string[], environment: Record<string, string> = {}) {
  return runCommand(["probe-sync", ...args], {
    program: "peat-mesh-node",
    environment: { PEAT_BROKER_PORT: "9", PEAT_RUNTIME_DIR: "/nowhere", ...environment },
  });
}

describe("probe-sync", () => {
  test("succeeds when what is written at one arrives at the other, and deletes it", async () => {
    const documents = new Map<string, unknown>();
    const writer = listen(documents);
    const reader = listen(documents, { misses: [404, 503, 404] });
    const { code, stdout, stderr } = await probe(["--write", writer.url, "--read", reader.url]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^written at http:\S+ in \d+ ms, read at http:\S+ \d+ ms later\n$/);
    expect([reader.seen.reads, writer.seen.writes, documents.size]).toEqual([4, 2, 0]);
  });

  test("waits for a writer that is not ready yet", async () => {
    const documents = new Map<string, unknown>();
    const writer = listen(documents, { unreadyWrites: 2 });
    const { code } = await probe(["--write", writer.url, "--read", listen(documents).url]);
    expect(code).toBe(0);
  });

  test("the node on this machine is the one that is not named", async () => {
    const documents = new Map<string, unknown>();
    const own = listen(documents);
    const environment = { PEAT_BROKER_PORT: new URL(own.url).port };
    const { code } = await probe(["--read", listen(documents).url], environment);
    expect([code, own.seen.writes]).toEqual([0, 2]);
  });

  test("a document that does not arrive is told after the time, and deleted all the same", async () => {
    const documents = new Map<string, unknown>();
    const writer = listen(documents);
    const reader = listen(new Map());
    const args = ["--write", writer.url, "--read", reader.url, "--timeout", "3"];
    const { code, stdout, stderr } = await probe(args);
    expect([code, stdout, documents.size]).toEqual([1, "", 0]);
    expect(stderr).toBe(
      `peat-mesh-node: written at ${writer.url}, not read at ${reader.url}: no such document\n`,
    );
  });

  test("a document of that name with another content is not the one that was written", async () => {
    const documents = new Map<string, unknown>();
    const reader = listen(documents, { isForged: true });
    const args = ["--write", listen(documents).url, "--read", reader.url, "--timeout", "2"];
    expect((await probe(args)).code).toBe(1);
  });

  test("a refusal is told at once, with the broker's sentence", async () => {
    const writer = listen(new Map(), { token: "right-token-of-test" });
    const { code, stderr } = await probe(["--write", writer.url, "--read", writer.url]);
    expect([code, writer.seen.writes]).toEqual([1, 1]);
    expect(stderr).toBe(
      `peat-mesh-node: could not write at ${writer.url}: writing here needs a token\n`,
    );
    const environment = { PEAT_API_TOKEN: "right-token-of-test" };
    expect((await probe(["--write", writer.url, "--read", writer.url], environment)).code).toBe(0);
  });

  test("a probe that can't be deleted has succeeded, and says what it left", async () => {
    const { url } = listen(new Map(), { refusesDelete: true });
    const { code, stderr } = await probe(["--write", url, "--read", url]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /\/api\/v1\/documents\/peat-probe\/\S+ was not deleted: kept for good\n$/,
    );
  });

  test("nobody at the writer's address is told after the time", async () => {
    const args = ["--write", "http://127.0.0.1:9", "--read", "http://127.0.0.1:9"];
    const { code, stderr } = await probe([...args, "--timeout", "0.2"]);
    expect(code).toBe(1);
    expect(stderr).toContain("could not write at http://127.0.0.1:9: no answer from");
  });

  test.each([
    [[], "needs --write, --read or both"],
    [["--write", "10.0.0.7:8081"], "--write must be like http://10.0.0.7:8081"],
    [["--read", "ftp://x"], "--read must be like"],
    [["--read", "http://127.0.0.1:9", "--timeout", "0"], "--timeout must be seconds"],
  ])("%p is a wrong command line", async (args, sentence) => {
    const { code, stderr } = await probe(args);
    expect(code).toBe(64);
    expect(stderr).toContain(sentence);
  });
});

describe.skipIf(Bun.which("openssl") === null)("probe-sync over TLS (needs openssl)", () => {
  const folder = tempFolder();
  closers.push(() => folder[Symbol.dispose]());

  /** A certificate that no machine trusts, for nobody's name. */
  function makeCertificate(name: string) {
    const path = folder.file(`${name}.pem`);
    const made = Bun.spawnSync([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-nodes", "-days", "2", "-subj", "/CN=nobody", "-keyout", `${path}.key`, "-out", path],
    ]);
    expect(made.exitCode).toBe(0);
    const tls = { cert: readFileSync(path, "utf8"), key: readFileSync(`${path}.key`, "utf8") };
    return { environment: { PEAT_TLS_CERT: path, PEAT_TLS_KEY: `${path}.key` }, tls };
  }

  test("the nodes of an installation have its one certificate, and no other is written to", async () => {
    const { environment, tls } = makeCertificate("ours");
    const documents = new Map<string, unknown>();
    const nodes = [listen(documents, {}, tls), listen(documents, {}, tls)];
    const [first, last] = nodes.map(({ url }) => url);
    const good = await probe(["--write", first ?? "", "--read", last ?? ""], environment);
    expect([good.code, good.stderr]).toEqual([0, ""]);
    const thief = listen(documents, {}, makeCertificate("theirs").tls);
    const args = ["--write", thief.url, "--read", last ?? "", "--timeout", "3"];
    const refused = await probe(args, environment);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("the certificate is not the one of PEAT_TLS_CERT");
    expect(thief.seen.writes).toBe(0);
  });
});
