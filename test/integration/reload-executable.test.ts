// A running node takes settings anew: handed over by the command that systemd runs, and by a bare SIGHUP.
import { beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import type { NodeProcess } from "../../scripts/support/node-process.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { certificateMissing, makeCertificate } from "../support/certificate.ts";
import { NotifyListener } from "../support/notify-listener.ts";
import { tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 60_000;
const [OLD, NEW] = ["the-first-token-of-this-test", "the-second-token-of-this-test"];

beforeAll(async () => {
  await ensureHostExecutable();
}, 240_000);

/** As systemd runs it: with the environment as it would be at a start. */
async function reload(node: NodeProcess, changed: Readonly<Record<string, string>>) {
  const env = { ...node.environment, MAINPID: String(node.pid), ...changed };
  const child = Bun.spawn([meshNodePath, "reload"], { env, stdout: "pipe", stderr: "pipe" });
  const texts = await Promise.all([child.stdout, child.stderr].map((s) => new Response(s).text()));
  return { code: await child.exited, text: texts.join("") };
}

async function statusOfPut(node: NodeProcess, token: string): Promise<number> {
  const answer = await fetch(`${node.api.url}/api/v1/documents/notes/a`, {
    method: "PUT",
    body: "{}",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
  });
  return answer.status;
}

const count = (node: NodeProcess, words: string) =>
  node.lines.filter((line) => line.includes(words)).length;

test("log level, static peers and token are taken; the service manager is told of it", async () => {
  using folder = tempFolder();
  using manager = new NotifyListener(folder.file("notify"));
  const env = {
    PEAT_API_TOKEN: OLD,
    PEAT_API_OPEN: "none",
    NOTIFY_SOCKET: folder.file("notify"),
  };
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 2, env });
  const node = await formation.start(0, { peers: [], logFilter: "info" });
  await node.ready();
  // It dials nobody: only the other can have been found by the reload.
  const other = await formation.start(1, { peers: [], env: { PEAT_API_TOKEN: OLD } });
  await other.ready();
  await manager.until((text) => text.startsWith("READY=1"), LIMIT_MS);
  expect(await statusOfPut(node, OLD)).toBe(201);

  const [peer = ""] = formation.settings(0).peers;
  const { code, text } = await reload(node, {
    PEAT_STATIC_PEERS: peer,
    PEAT_API_TOKEN: NEW,
    PEAT_BROKER_PORT: "1",
    RUST_LOG: "warn",
    PEAT_LOG_FORMAT: "json",
  });
  expect([code, text]).toEqual([0, ""]);
  expect(existsSync(join(node.dataDir, "reload.json"))).toBe(false);
  await node.connected(1);
  expect([await statusOfPut(node, OLD), await statusOfPut(node, NEW)]).toEqual([401, 200]);
  // From the reload on only warnings, and as JSON.
  const waits = '"Changed settings wait for a restart","settings":["brokerPort"]';
  await waitFor("the warning", LIMIT_MS, () => count(node, waits) > 0 || undefined);
  expect(count(node, waits)).toBe(1);
  await waitFor(
    "the same connection there",
    LIMIT_MS,
    () => count(other, "Peer connected") > 0 || undefined,
  );
  expect([count(node, "Peer connected"), count(node, "Settings reloaded")]).toEqual([0, 0]);
  const beginning = await manager.until((datagram) => datagram.startsWith("RELOADING=1"), LIMIT_MS);
  const us = BigInt(/\nMONOTONIC_USEC=(\d+)$/.exec(beginning)?.[1] ?? "-1");
  // The kernel's uptime, without the time that the machine slept, is that clock.
  const uptimeUs = Number((await Bun.file("/proc/uptime").text()).split(" ")[0]) * 1e6;
  expect(Number(us)).toBeGreaterThan(0);
  expect(Number(us)).toBeLessThan(uptimeUs + 1e6);
  expect(manager.seen.filter((datagram) => datagram === "READY=1")).toHaveLength(1);

  // Without a handover it has the environment of the last one.
  process.kill(node.pid, "SIGHUP");
  await waitFor("the second time", LIMIT_MS, () => count(node, waits) === 2 || undefined);
  expect(await statusOfPut(node, NEW)).toBe(200);
}, 240_000);

test("settings that are wrong change nothing, and whoever reloads is told", async () => {
  const env = { PEAT_API_TOKEN: OLD, PEAT_API_OPEN: "none" };
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1, env });
  const node = await formation.start(0);
  await node.ready();
  const { code, text } = await reload(node, { PEAT_API_TOKEN: NEW, PEAT_STATIC_PEERS: "nobody" });
  expect([code, text]).toEqual([78, expect.stringContaining("PEAT_STATIC_PEERS")]);
  await waitFor("its own line", LIMIT_MS, () => count(node, "Settings not reloaded") || undefined);
  expect([await statusOfPut(node, NEW), await statusOfPut(node, OLD)]).toEqual([401, 201]);
  for (const MAINPID of ["", "1", "-5", "x"]) {
    const stray = await reload(node, { MAINPID });
    expect([stray.code, stray.text]).toEqual([64, expect.stringContaining("systemctl reload")]);
  }
}, 240_000);

test.skipIf(certificateMissing !== undefined)(
  "a certificate that was exchanged is shown at once",
  async () => {
    using folder = tempFolder();
    using other = tempFolder();
    const [files, fresh] = [makeCertificate(folder), makeCertificate(other)];
    const env = { PEAT_TLS_CERT: files.cert, PEAT_TLS_KEY: files.key };
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1, env });
    const node = await formation.start(0);
    const port = formation.settings(0).brokerPort;
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const options = { host: "127.0.0.1", port, rejectUnauthorized: false };
        const socket = connect(options, () => {
          resolve(socket.getPeerCertificate().fingerprint256);
          socket.destroy();
        });
        // Also when it is reset after the answer.
        socket.on("error", reject);
      });
    const first = await waitFor("the listener", LIMIT_MS, () => shown().catch(() => undefined));
    copyFileSync(fresh.cert, files.cert);
    copyFileSync(fresh.key, files.key);
    expect((await reload(node, {})).code).toBe(0);
    expect(await shown()).not.toBe(first);
  },
  240_000,
);

test("at a terminal it ends with it, as other programs do", async () => {
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
  const other = await formation.start(0);
  await other.ready();
  const env = { ...other.environment, PEAT_BROKER_PORT: "0", PEAT_IROH_BIND_PORT: "0" };
  using folder = tempFolder();
  let shown = "";
  const child = Bun.spawn([meshNodePath], {
    env: { ...env, PEAT_DATA_DIR: folder.path, PEAT_RUNTIME_DIR: folder.path },
    terminal: {
      cols: 200,
      rows: 50,
      data: (_terminal, bytes) => {
        shown += Buffer.from(bytes).toString();
      },
    },
  });
  await waitFor("its start", LIMIT_MS, () => shown.includes("Discovery started") || undefined);
  child.kill("SIGHUP");
  await child.exited;
  expect(child.signalCode).toBe("SIGHUP");
}, 240_000);
