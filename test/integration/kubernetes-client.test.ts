// The requests to an API server over real TLS: whom they trust, with which token, and how much they read.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Fault } from "../../src/base/faults.ts";
import { KubernetesClient } from "../../src/discovery/kubernetes-client.ts";
import { RequestFailure } from "../../src/discovery/kubernetes-watch.ts";
import {
  type CertificateFiles,
  certificateMissing,
  makeCertificate,
} from "../support/certificate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const MIB = 1024 * 1024;
const EMPTY = { metadata: { resourceVersion: "7" }, items: [] };
const openSignal = () => new AbortController().signal;

type Answer = (request: Request, url: URL) => Response | Promise<Response>;

const VARIABLES = ["HOME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"] as const;
const before = VARIABLES.map((name) => [name, process.env[name]] as const);
afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** The library looks for the pod's server in the environment. */
function setServer(host: string, port: number): void {
  Object.assign(process.env, {
    KUBERNETES_SERVICE_HOST: host,
    KUBERNETES_SERVICE_PORT: String(port),
  });
}

describe.skipIf(certificateMissing !== undefined)(
  `a client of the API server${certificateMissing === undefined ? "" : ` [skipped: ${certificateMissing}]`}`,
  () => {
    let folder: TempFolder;
    let files: CertificateFiles;
    let server: Bun.Server<undefined> | undefined;
    beforeEach(() => {
      folder = tempFolder();
      files = makeCertificate(folder);
    });
    afterEach(async () => {
      await server?.stop(true);
      server = undefined;
      folder[Symbol.dispose]();
    });

    function serve(answer: Answer, { cert, key }: CertificateFiles = files): number {
      server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        idleTimeout: 0,
        tls: { cert: Bun.file(cert), key: Bun.file(key) },
        fetch: (request) => answer(request, new URL(request.url)),
      });
      return server.port ?? 0;
    }

    function kubeconfig(port: number, more: { ca?: string; token?: string } = {}): string {
      const { ca = files.cert, token = "first" } = more;
      const path = folder.file("kubeconfig");
      writeFileSync(
        path,
        JSON.stringify({
          "current-context": "test",
          clusters: [
            {
              name: "c",
              cluster: { server: `https://127.0.0.1:${port}`, "certificate-authority": ca },
            },
          ],
          users: [{ name: "u", user: { token } }],
          contexts: [{ name: "test", context: { cluster: "c", user: "u", namespace: "other" } }],
        }),
      );
      return path;
    }

    function client(port: number, more: { ca?: string } = {}): KubernetesClient {
      const selector = "app in (peat-mesh)";
      return new KubernetesClient({
        kubeconfig: kubeconfig(port, more),
        namespace: undefined,
        selector,
      });
    }

    /** What a pod finds below `/`. */
    function serviceAccount(token: string, namespace = "mesh\n"): string {
      const path = join(folder.path, "var/run/secrets/kubernetes.io/serviceaccount");
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "token"), token);
      writeFileSync(join(path, "namespace"), namespace);
      writeFileSync(join(path, "ca.crt"), Bun.spawnSync(["cat", files.cert]).stdout);
      return folder.path;
    }

    test("asks for the slices of its namespace by its labels, as new as it has to have them", async () => {
      const asked: string[] = [];
      const port = serve((request, url) => {
        asked.push(`${url.pathname}${url.search} ${request.headers.get("authorization")}`);
        return Response.json(EMPTY);
      });
      const api = client(port);
      expect(api.namespace).toBe("default");
      expect(await api.list(undefined, openSignal())).toEqual(EMPTY);
      await api.list("7", openSignal());
      const path =
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=app+in+%28peat-mesh%29";
      expect(asked).toEqual([
        `${path} Bearer first`,
        `${path}&resourceVersion=7&resourceVersionMatch=NotOlderThan Bearer first`,
      ]);
    });

    test("trusts only who has a certificate of the cluster's authority for that address", async () => {
      const port = serve(() => Response.json(EMPTY));
      const other = makeCertificate(folder, "IP:127.0.0.1,DNS:other");
      const distrustful = client(port, { ca: other.cert });
      await expect(distrustful.list(undefined, openSignal())).rejects.toThrow(/certificate/);
      await server?.stop(true);
      const elsewhere = makeCertificate(folder, "DNS:elsewhere.example");
      const impostor = client(
        serve(() => Response.json(EMPTY), elsewhere),
        { ca: elsewhere.cert },
      );
      await expect(impostor.list(undefined, openSignal())).rejects.toThrow(/altnames|IP/);
    });

    test("takes a pod's token and namespace, and a token that was rotated at once", async () => {
      let valid = "first";
      const port = serve((request) =>
        request.headers.get("authorization") === `Bearer ${valid}`
          ? Response.json(EMPTY)
          : Response.json({ message: "Unauthorized" }, { status: 401 }),
      );
      const root = serviceAccount("first");
      setServer("127.0.0.1", port);
      const place = { kubeconfig: undefined, namespace: undefined, selector: "a=b", root };
      const api = new KubernetesClient(place);
      expect(api.namespace).toBe("mesh");
      expect(await api.list(undefined, openSignal())).toEqual(EMPTY);
      valid = "second";
      // The kubelet has the new one in place before the old one ends.
      serviceAccount("second");
      expect(await api.list(undefined, openSignal())).toEqual(EMPTY);
    });

    test("reads a kubeconfig's tokenFile beside it, again when it was rotated", async () => {
      const asked: (string | null)[] = [];
      let valid = "Bearer first";
      const port = serve((request) => {
        asked.push(request.headers.get("authorization"));
        return new Response(JSON.stringify(EMPTY), { status: asked.at(-1) === valid ? 200 : 401 });
      });
      const path = kubeconfig(port);
      const config = JSON.parse(readFileSync(path, "utf8"));
      config.users[0].user = { tokenFile: "token" };
      writeFileSync(path, JSON.stringify(config));
      writeFileSync(folder.file("token"), "first");
      const place = { kubeconfig: path, namespace: undefined, selector: "a=b" };
      const api = new KubernetesClient(place);
      await api.list(undefined, openSignal());
      valid = "Bearer second";
      writeFileSync(folder.file("token"), "second");
      await api.list(undefined, openSignal());
      expect(asked).toEqual(["Bearer first", "Bearer first", "Bearer second"]);
    });

    test("tells a refusal with its status, its reason and how long to wait", async () => {
      const port = serve((_, url) =>
        url.searchParams.has("watch")
          ? new Response("<html>", { status: 502 })
          : Response.json(
              { message: "x".repeat(5000) },
              { status: 429, headers: { "retry-after": "3" } },
            ),
      );
      const list = await client(port)
        .list(undefined, openSignal())
        .catch((e: unknown) => e);
      if (!(list instanceof RequestFailure)) throw new Error("no failure");
      expect([list.status, list.retryAfterMs]).toEqual([429, 3000]);
      expect(list.message.length).toBeLessThan(600);
      const watch = await client(port)
        .watch("7", openSignal())
        .catch((e: unknown) => e);
      expect(watch).toMatchObject({ status: 502, retryAfterMs: 0 });
    });

    test("never follows a redirection with its token", async () => {
      let asked = 0;
      const port = serve(() => {
        asked += 1;
        return Response.redirect("https://127.0.0.1:1/", 307);
      });
      await expect(client(port).list(undefined, openSignal())).rejects.toMatchObject({
        status: 307,
      });
      expect(asked).toBe(1);
    });

    test("reads the events of a watch however they are cut, and ends when the server ends", async () => {
      const sent = [{ type: "ADDED", object: { text: "zwölf ✓" } }, { type: "BOOKMARK" }, { n: 3 }];
      const bytes = new TextEncoder().encode(sent.map((e) => `${JSON.stringify(e)}\n`).join("\n"));
      const port = serve(
        () =>
          new Response(
            new ReadableStream({
              async start(controller) {
                for (const byte of bytes) {
                  controller.enqueue(Uint8Array.of(byte));
                  await new Promise((resolve) => setImmediate(resolve));
                }
                controller.close();
              },
            }),
          ),
      );
      const events: unknown[] = [];
      for await (const event of await client(port).watch("7", openSignal())) events.push(event);
      expect(events).toEqual(sent);
    });

    test("ends a watch when it is told to, and the server notices", async () => {
      const cancelled = Promise.withResolvers<void>();
      const port = serve(
        () =>
          new Response(
            new ReadableStream({
              start: (controller) => controller.enqueue(new TextEncoder().encode('{"n":1}\n')),
              cancel: () => cancelled.resolve(),
            }),
          ),
      );
      const control = new AbortController();
      const events = await client(port).watch("7", control.signal);
      const read = async () => {
        for await (const _ of events) control.abort();
      };
      await expect(read()).rejects.toThrow(RequestFailure);
      await cancelled.promise;
    });

    test("reads no list and no event without an end", async () => {
      const endless = (piece: string) =>
        new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new TextEncoder().encode(piece)),
          }),
        );
      const port = serve(() => endless("x".repeat(MIB)));
      await expect(client(port).list(undefined, openSignal())).rejects.toThrow(/longer than/);
      const read = async () => {
        for await (const _ of await client(port).watch("7", openSignal()));
      };
      await expect(read()).rejects.toThrow(/longer than/);
    });

    test("tells what is no JSON, and what breaks off", async () => {
      const port = serve((_, url) => new Response(url.searchParams.has("watch") ? "{\n" : "{"));
      await expect(client(port).list(undefined, openSignal())).rejects.toThrow(/not JSON/);
      const read = async () => {
        for await (const _ of await client(port).watch("7", openSignal()));
      };
      await expect(read()).rejects.toThrow(/not JSON/);
    });

    test("gives up at once when it is told to, answer or not", async () => {
      const port = serve(() => new Promise<Response>(() => undefined));
      const control = new AbortController();
      const list = client(port).list(undefined, control.signal);
      control.abort();
      await expect(list).rejects.toThrow(RequestFailure);
      await expect(client(port).list(undefined, control.signal)).rejects.toThrow(RequestFailure);
    });

    test("gives up a program of the kubeconfig's that never says who we are", async () => {
      const path = kubeconfig(serve(() => Response.json(EMPTY)));
      const config = JSON.parse(readFileSync(path, "utf8"));
      const pidFile = folder.file("pid");
      const exec = { command: "sh", args: ["-c", `echo $$ >>${pidFile}; exec sleep 600`] };
      config.users[0].user = { exec: { apiVersion: "client.authentication.k8s.io/v1", ...exec } };
      writeFileSync(path, JSON.stringify(config));
      const place = { kubeconfig: path, namespace: undefined, selector: "a=b" };
      const control = new AbortController();
      const api = new KubernetesClient(place);
      const failure = api.list(undefined, control.signal).catch((error: unknown) => error);
      const pid = await waitFor("the program", 20_000, () =>
        existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) || undefined : undefined,
      );
      control.abort();
      expect(await failure).toBeInstanceOf(RequestFailure);
      // Nor are there ever two of it.
      const again = api.list(undefined, openSignal()).catch((error: unknown) => error);
      process.kill(pid, "SIGKILL");
      expect(await again).toBeInstanceOf(RequestFailure);
      expect(readFileSync(pidFile, "utf8").trim()).toBe(String(pid));
    });

    test("merges several kubeconfigs: the first that names a context is followed", async () => {
      const port = serve(() => Response.json(EMPTY));
      const users = folder.file("users");
      writeFileSync(users, JSON.stringify({ users: [{ name: "another", user: { token: "x" } }] }));
      const paths = `${folder.file("none")}:${users}:${kubeconfig(port)}`;
      const api = new KubernetesClient({ kubeconfig: paths, namespace: "own", selector: "a=b" });
      expect(api.namespace).toBe("own");
      expect(await api.list(undefined, openSignal())).toEqual(EMPTY);
    });
  },
);

describe("a client without credentials that make sense is refused with the remedy", () => {
  function attempt(kubeconfig: string | undefined, root: string): () => KubernetesClient {
    return () => {
      const place = { kubeconfig, namespace: undefined, selector: "a=b", root };
      process.env["HOME"] = root;
      return new KubernetesClient(place);
    };
  }

  test("no file, no service account, no file of the user", () => {
    using folder = tempFolder();
    expect(attempt(undefined, folder.path)).toThrow(Fault);
    expect(attempt(undefined, folder.path)).toThrow(/KUBECONFIG, or PEAT_DISCOVERY/);
    expect(attempt("", folder.path)).toThrow(/names no file that exists/);
  });

  test("a file that is missing, is no kubeconfig, or has no server", () => {
    using folder = tempFolder();
    expect(attempt(folder.file("none"), folder.path)).toThrow(/none/);
    for (const text of ["", "[", "{}", "7", '{"clusters":[{"name":"c"}]}']) {
      writeFileSync(folder.file("bad"), text);
      expect(attempt(folder.file("bad"), folder.path)).toThrow(/Kubernetes discovery can't work/);
    }
  });

  test("a pod without the address of its server, or with a namespace that is none", () => {
    using folder = tempFolder();
    const path = join(folder.path, "var/run/secrets/kubernetes.io/serviceaccount");
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "token"), "t");
    expect(attempt(undefined, folder.path)).toThrow(/no address of an API server/);
    writeFileSync(join(path, "namespace"), "../../pods");
    setServer("::1", 443);
    expect(attempt(undefined, folder.path)).toThrow(/PEAT_DISCOVERY_NAMESPACE/);
  });
});
