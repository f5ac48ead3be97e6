// TLS on the TCP listeners: by files that are exchanged while the node runs.
import { expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { waitFor } from "../../scripts/support/waiting.ts";
import { readTls, TlsWatch } from "../../src/access/tls-files.ts";
import { systemClock } from "../../src/base/clock.ts";
import { getLog } from "../../src/base/log.ts";
import { PeatSidecar } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { LogLines } from "../support/start-node.ts";
import { startRpc } from "../support/start-rpc.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const LIMIT_MS = 20_000;

/** A certificate of its own for 127.0.0.1. */
function makeCertificate(folder: TempFolder, name: string) {
  const cert = folder.file(`${name}.crt`);
  const key = folder.file(`${name}.key`);
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", key, "-out", cert],
  ]);
  if (!made.success) throw new Error(made.stderr.toString());
  return { cert, key };
}

/** Common name of what a listener shows. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      resolve(String(CN));
    });
    socket.once("error", reject);
  });
}

test("all protocols are spoken behind TLS, and a unix socket goes without", async () => {
  using folder = tempFolder();
  const tls = makeCertificate(folder, "first");
  const unix = { kind: "unix", path: folder.file("rpc.sock") } as const;
  const tcp = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  await using world = await startRpc({ tls, listen: [tcp, unix] });
  const at = world.address();
  if (at.kind !== "tcp") throw new Error("not TCP");
  const ca = await Bun.file(tls.cert).text();
  const baseUrl = `https://127.0.0.1:${at.port}`;
  const nodeOptions = { ca };
  for (const transport of [
    createGrpcTransport({ baseUrl, nodeOptions }),
    createConnectTransport({ baseUrl, nodeOptions, httpVersion: "2" }),
    createConnectTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  ]) {
    const status = await createClient(PeatSidecar, transport).getStatus({});
    expect(status.nodeId).toBe("node-1");
  }
  expect((await world.client({}, 1).getStatus({})).nodeId).toBe("node-1");
  const plain = await fetch(baseUrl.replace("https", "http")).catch(() => undefined);
  expect(plain).toBeUndefined();
});

test("new connections are shown a certificate that has been exchanged", async () => {
  using folder = tempFolder();
  const first = makeCertificate(folder, "first");
  const second = makeCertificate(folder, "second");
  const tls = { cert: folder.file("tls.crt"), key: folder.file("tls.key") };
  copyFileSync(first.cert, tls.cert);
  copyFileSync(first.key, tls.key);
  // Time is quick for whoever waits for the next look at the files.
  const clock = {
    ...systemClock,
    after: (ms: number, run: () => void) => systemClock.after(ms === 10_000 ? 50 : ms, run),
  };
  await using world = await startRpc({ tls, clock });
  const at = world.address();
  if (at.kind !== "tcp") throw new Error("not TCP");
  expect(await shownBy(at.port)).toBe("first");
  copyFileSync(second.cert, tls.cert);
  copyFileSync(second.key, tls.key);
  await waitFor(
    "the second certificate",
    LIMIT_MS,
    async () => (await shownBy(at.port)) === "second" || undefined,
  );
});

test("files that are not sound are told once, and the old ones stay until they are", async () => {
  using folder = tempFolder();
  using lines = new LogLines();
  const files = makeCertificate(folder, "first");
  const other = makeCertificate(folder, "second");
  const clock = new VirtualClock();
  const changed: string[] = [];
  const watch = new TlsWatch({
    files,
    log: getLog("peat_mesh::rpc"),
    clock,
    now: readTls(files),
    changed: ({ cert }) => changed.push(cert),
  });
  writeFileSync(files.cert, await Bun.file(other.cert).text());
  await clock.advance(60_000);
  expect(changed).toEqual([]);
  expect(lines.with("Certificate not reloaded")).toHaveLength(1);
  writeFileSync(files.key, await Bun.file(other.key).text());
  await clock.advance(60_000);
  expect(changed).toHaveLength(1);
  watch.end();
  writeFileSync(files.key, "");
  await clock.advance(60_000);
  expect(lines.with("Certificate not reloaded")).toHaveLength(1);
});

test("files that can't be used are a fault at the start that names the settings", async () => {
  using folder = tempFolder();
  const first = makeCertificate(folder, "first");
  const second = makeCertificate(folder, "second");
  const mixed = startRpc({ tls: { cert: first.cert, key: second.key } });
  await expect(mixed).rejects.toThrow("PEAT_TLS_CERT and PEAT_TLS_KEY must be");
  const missing = startRpc({ tls: { cert: folder.file("none"), key: second.key } });
  await expect(missing).rejects.toThrow("PEAT_TLS_CERT names");
});
