// What happens to the data directory of the executable while it runs, or between two starts: full disks, damage,
// older copies, second processes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BrokerApi, Document } from "../../scripts/support/broker-api.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { NodeProcess } from "../../scripts/support/node-process.ts";
import { freeTcpPort, freeUdpPort } from "../../scripts/support/ports.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 90_000;

beforeAll(async () => {
  await ensureHostExecutable();
}, 300_000);

function start(nodes: number): Promise<Formation> {
  return Formation.prepare({ executable: meshNodePath, nodes });
}

async function put(api: BrokerApi, path: string, document: Document) {
  const response = await fetch(`${api.url}/api/v1/documents/${path}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(document),
  });
  return { status: response.status, text: await response.text() };
}

async function remove(api: BrokerApi, path: string): Promise<void> {
  const url = `${api.url}/api/v1/documents/${path}`;
  const { status } = await fetch(url, { method: "DELETE" });
  expect(status).toBeLessThan(300);
}

/** Resolves when the nodes have equal documents and tombstones. */
async function equal(...nodes: readonly NodeProcess[]): Promise<void> {
  await waitFor("equal root hashes", LIMIT_MS, async () => {
    const summaries = await Promise.all(nodes.map(({ api }) => api.summary()));
    return new Set(summaries.map((summary) => summary.root_hash)).size === 1 || undefined;
  });
}

function logged(node: NodeProcess, text: string): Promise<string> {
  return waitFor(`${node.name} to log ${text}`, LIMIT_MS, () =>
    node.lines.find((line) => line.includes(text)),
  );
}

/** What ended the node's start: exit status and last lines. */
async function refusal(node: NodeProcess): Promise<string> {
  return await Promise.race([node.failed, node.ready()]).then(
    () => "it started",
    (error: Error) => error.message,
  );
}

const disk = tempFolder();
const mountOptions = (kilobytes: number) => `size=${kilobytes}k`;
const isMounted =
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", mountOptions(2000), "tmpfs", disk.path]).exitCode ===
  0;
const ballast = disk.file("ballast");
afterAll(() => {
  if (isMounted) Bun.spawnSync(["umount", disk.path]);
  disk[Symbol.dispose]();
});

/** Leaves not one page. */
function fillDisk(): void {
  for (let bytes = 2_000_000; bytes >= 4096; bytes = Math.floor(bytes / 2)) {
    try {
      writeFileSync(ballast, new Uint8Array(bytes), { flag: "a" });
    } catch {
      // So much did not fit any more; half of it may.
    }
  }
}

describe("a full disk", () => {
  test.skipIf(!isMounted)(
    "refuses writes with 507 and a remedy, is read on, harms no peer, and heals; also at a start on it (needs mount)",
    async () => {
      await using formation = await start(2);
      const dataDir = disk.path;
      let full = await formation.start(0, { dataDir });
      const peer = await formation.start(1);
      await Promise.all([full.ready(), peer.ready()]);
      await full.connected(1);
      expect((await put(full.api, "notes/kept", { n: 1 })).status).toBe(201);
      await equal(full, peer);

      const text = "x".repeat(50_000);
      fillDisk();
      let refused = { status: 0, text: "" };
      for (let n = 0; n < 100 && refused.status !== 507; n += 1) {
        refused = await put(full.api, `files/${n}`, { text });
      }
      expect(refused.status).toBe(507);
      expect(refused.text).toContain("no room left for");
      expect(refused.text).toContain("free some space");
      // What the peer writes can't be stored there, which is nobody else's trouble.
      for (let n = 0; n < 20; n += 1) {
        expect((await put(peer.api, `peer/${n}`, { n, text })).status).toBe(201);
      }
      expect((await full.api.get("notes", "kept"))?.["n"]).toBe(1);
      expect((await put(full.api, "notes/kept", { n: 2, text })).status).toBe(507);
      expect(await full.api.isReady()).toBe(true);
      expect(await peer.api.isReady()).toBe(true);

      await formation.stop(0);
      fillDisk();
      full = await formation.start(0, { dataDir });
      await full.ready();
      expect((await full.api.get("notes", "kept"))?.["n"]).toBe(1);
      expect((await put(full.api, "notes/kept", { n: 2, text })).status).toBe(507);

      rmSync(ballast);
      Bun.spawnSync(["mount", "-o", `remount,${mountOptions(20_000)}`, disk.path]);
      expect((await put(full.api, "notes/kept", { n: 3 })).status).toBe(200);
      await equal(full, peer);
      expect((await full.api.get("peer", "19"))?.["n"]).toBe(19);
      expect((await peer.api.get("notes", "kept"))?.["n"]).toBe(3);
    },
    120_000,
  );
});

describe("a data directory", () => {
  test("restored from an older copy loses nothing that others have, and brings back nothing deleted", async () => {
    await using formation = await start(2);
    await formation.startAll();
    const [first, peer] = [formation.node(0), formation.node(1)];
    for (const name of ["notes", "tracks"]) {
      for (let n = 0; n < 20; n += 1) await put(first.api, `${name}/${n}`, { n });
    }
    await equal(first, peer);
    await formation.stop(0);
    const copy = join(formation.folder, "copy");
    cpSync(first.dataDir, copy, { recursive: true });
    const later = await formation.start(0);
    await later.ready();
    await later.connected(1);
    for (const name of ["notes", "tracks"]) {
      await remove(later.api, `${name}/1`);
      await put(later.api, `${name}/2`, { n: "changed" });
      await put(later.api, `${name}/new`, { n: "new" });
    }
    await equal(later, peer);
    await formation.kill(0);
    await formation.wipe(0);
    cpSync(copy, first.dataDir, { recursive: true });
    const restored = await formation.start(0);
    await restored.ready();
    await put(restored.api, "notes/3", { n: "restored" });
    await equal(restored, peer);
    for (const { api } of [restored, peer]) {
      for (const name of ["notes", "tracks"]) {
        expect(await api.get(name, "1")).toBeUndefined();
        expect((await api.get(name, "2"))?.["n"]).toBe("changed");
        expect((await api.get(name, "new"))?.["n"]).toBe("new");
      }
      expect((await api.get("notes", "3"))?.["n"]).toBe("restored");
    }
  }, 300_000);

  test("that is copied and started beside the original is told, and no document of either is lost", async () => {
    await using formation = await start(2);
    await formation.startAll();
    const [original, peer] = [formation.node(0), formation.node(1)];
    for (let n = 0; n < 20; n += 1) await put(original.api, `notes/${n}`, { n });
    await equal(original, peer);
    await formation.stop(0);
    const copyDir = join(formation.folder, "copy");
    cpSync(original.dataDir, copyDir, { recursive: true });
    const again = await formation.start(0);
    await again.ready();
    await again.connected(1);
    // Held here, not by the formation, which has one process for each name.
    const copy = await NodeProcess.start({
      ...formation.settings(0),
      dataDir: copyDir,
      brokerPort: await freeTcpPort(),
      irohPort: await freeUdpPort(),
    });
    try {
      await copy.ready();
      expect(await logged(peer, "Two live nodes have one name")).toContain("node-0");
      // One document that only the copy writes, one that both write, and one of the original.
      await put(copy.api, "notes/copy", { by: "copy" });
      await put(copy.api, "notes/1", { copy: true });
      await put(again.api, "notes/1", { original: true });
      await put(again.api, "notes/original", { by: "original" });
      // Mostly the original: the peer asks it whether it lives, and a busy machine may answer late.
      const stays = await Promise.any(
        [again, copy].map((twin) => equal(twin, peer).then(() => twin)),
      );
      const other = stays === again ? copy : again;
      await (stays === again ? formation.stop(0) : copy.stop());
      await other.connected(1);
      await equal(other, peer);
      expect((await peer.api.get("notes", "copy"))?.["by"]).toBe("copy");
      expect((await other.api.get("notes", "original"))?.["by"]).toBe("original");
      expect(await peer.api.get("notes", "1")).toMatchObject({ copy: true, original: true });
      expect(await peer.api.isReady()).toBe(true);
    } finally {
      await copy.stop();
    }
  }, 300_000);

  test("is refused to a second process, with the remedy, and the first goes on", async () => {
    await using formation = await start(1);
    const first = await formation.start(0);
    await first.ready();
    const second = await NodeProcess.start({
      ...formation.settings(0),
      brokerPort: await freeTcpPort(),
      irohPort: await freeUdpPort(),
    });
    const told = await refusal(second);
    expect(told).toContain("exit status 75");
    expect(told).toContain("in use by another process; stop it or set another PEAT_DATA_DIR");
    expect((await put(first.api, "notes/1", { n: 1 })).status).toBe(201);
  }, 60_000);
});

describe("a damaged database", () => {
  const pathOf = (node: NodeProcess) => join(node.dataDir, "automerge", "peat.db");

  function flip(path: string, at: (bytes: Buffer) => number): void {
    const bytes = readFileSync(path);
    const place = at(bytes);
    expect(place).toBeGreaterThan(0);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  }

  test("loses one document, says which, and has it again from a peer without being asked for it", async () => {
    await using formation = await start(2);
    await formation.startAll();
    const [first, peer] = [formation.node(0), formation.node(1)];
    for (let n = 0; n < 20; n += 1) await put(first.api, `notes/${n}`, { text: `needle-${n}-` });
    await equal(first, peer);
    await formation.stop(0);
    // A collection with history: nothing else on the disk holds its text.
    flip(pathOf(first), (bytes) => bytes.lastIndexOf("needle-7-") + 3);
    const again = await formation.start(0);
    await again.ready();
    // Nobody reads it: the scrub finds it.
    expect(await logged(again, "Damaged document set aside")).toContain("notes:7");
    // Until then it is not absent: 503 says when to try again.
    await waitFor("the document to come back", LIMIT_MS, () =>
      again.api.get("notes", "7").catch(() => undefined),
    );
    expect((await again.api.get("notes", "7"))?.["text"]).toBe("needle-7-");
    await equal(again, peer);
    expect((await put(again.api, "notes/7", { text: "new" })).status).toBe(200);
  }, 60_000);

  test("whose structure is gone is refused at every start, with the remedy, and is not touched", async () => {
    await using formation = await start(1);
    const first = await formation.start(0);
    await first.ready();
    for (let n = 0; n < 200; n += 1) await put(first.api, `tracks/${n}`, { text: "x".repeat(500) });
    await formation.stop(0);
    const path = pathOf(first);
    // The kind of the page that holds the root of a table: no longer one that there is.
    const pageBytes = readFileSync(path).readUInt16BE(16);
    flip(path, (bytes) => {
      for (let page = 2; page * pageBytes < bytes.length; page += 1) {
        if (bytes[page * pageBytes] === 5) return page * pageBytes;
      }
      return -1;
    });
    const before = readFileSync(path);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const told = await refusal(await NodeProcess.start(formation.settings(0)));
      expect(told).toContain("exit status 73");
      expect(told).toContain("restore a backup, or move the file away and let peers refill it");
      expect(readFileSync(path).equals(before)).toBe(true);
    }
  }, 60_000);
});
