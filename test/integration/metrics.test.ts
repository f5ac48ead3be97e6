// What a Prometheus server reads of two nodes of the executable, one of which has written.
import { beforeAll, expect, test } from "bun:test";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { waitFor } from "../../scripts/support/waiting.ts";

const DOCUMENTS = 20;
const READERS = 'peat_feed_readers{reader="websocket"}';

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

/** Value of a series, written as in the text. */
function figureOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test("two nodes tell of their documents, each other, and how long everything took", async () => {
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 2 });
  await formation.startAll();
  const [writer, reader] = [formation.node(0), formation.node(1)];
  const read = async () => await (await fetch(`${writer.api.url}/metrics`)).text();
  const areEqual = () =>
    waitFor("equal nodes", 60_000, async () => {
      const shown = await read();
      return figureOf(shown, 'peat_peer_in_sync{peer="node-1"}') === 1 ? shown : undefined;
    });
  // Of two links, dialled at once, one goes: changes that are followed just then are followed no more.
  await areEqual();
  for (let n = 0; n < DOCUMENTS; n += 1) await writer.api.put("tracks", `t${n}`, { n });
  // Acknowledged by the peer, and found equal with it.
  const text = await areEqual();
  const value = (series: string) => figureOf(text, series);
  expect(value("peat_store_documents")).toBe(DOCUMENTS);
  expect(value('peat_collection_documents{collection="tracks"}')).toBe(DOCUMENTS);
  expect(value("peat_node_ready")).toBe(1);
  expect(value('peat_peer_connected{peer="node-1"}')).toBe(1);
  expect(value('peat_peer_relayed{peer="node-1"}')).toBe(0);
  expect(value('peat_peer_queued_documents{peer="node-1"}')).toBe(0);
  expect(value("peat_sync_latency_seconds_count")).toBeGreaterThan(0);
  expect(value("peat_store_commit_seconds_count")).toBeGreaterThanOrEqual(DOCUMENTS);
  const put = 'method="PUT",route="/api/v1/documents/:collection/:id",status="201"';
  expect(value(`peat_http_request_duration_seconds_count{${put}}`)).toBe(DOCUMENTS);
  expect(value('peat_sync_bytes_total{direction="sent"}')).toBeGreaterThan(0);
  // Of twenty quick writes some are followed; the only peer has all of them.
  expect(value("peat_sync_convergence_seconds_count")).toBeGreaterThan(0);
  expect(value('peat_peer_convergence_lag_seconds{peer="node-1"}')).toBe(0);
  expect(value('peat_peers{path="direct"}')).toBe(1);
  expect(value("peat_sync_running")).toBe(1);
  expect(value("peat_store_commit_failures_total")).toBe(0);
  expect(value("peat_store_disk_free_bytes")).toBeGreaterThan(0);
  expect(value("peat_event_loop_delay_seconds_count")).toBeGreaterThan(0);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(value('peat_store_file_bytes{file="database"}')).toBeGreaterThan(0);
  const watched = () => read().then((shown) => figureOf(shown, READERS));
  expect(await watched()).toBe(0);
  const socket = new WebSocket(`${writer.api.url.replace("http", "ws")}/api/v1/ws`);
  await waitFor("a reader", 60_000, async () => (await watched()) === 1 || undefined);
  socket.close();
  await waitFor("no reader", 60_000, async () => (await watched()) === 0 || undefined);
  await reader.stop();
  const isGone = async () => figureOf(await read(), 'peat_peer_connected{peer="node-1"}') === 0;
  await waitFor("the peer to be gone", 60_000, async () => (await isGone()) || undefined);
}, 180_000);

const PROMTOOL = Bun.which("promtool");

test.skipIf(PROMTOOL === null)(
  "Prometheus' own checker finds nothing to say about it (promtool)",
  async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
    const node = await formation.start(0);
    await node.ready();
    const text = await (await fetch(`${node.api.url}/metrics`)).text();
    const checker = Bun.spawn([PROMTOOL ?? "", "check", "metrics"], {
      stdin: new Blob([text]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = `${await checker.stdout.text()}${await checker.stderr.text()}`;
    expect({ said, code: await checker.exited }).toEqual({ said: "", code: 0 });
  },
  60_000,
);
