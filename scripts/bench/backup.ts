// What a backup costs the node beside which it is made, how fast it is and how fast it comes back; and imports beside
// bare PUTs of the same documents in the same run.
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { meshNodePath } from "../support/executable.ts";
import { Formation } from "../support/formation.ts";
import type { NodeProcess } from "../support/node-process.ts";
import { percentile } from "../support/percentiles.ts";
import { BENCH_COLLECTION, positionReport } from "./documents.ts";
import { MANY_CLIENTS, type Plan, rounds } from "./plan.ts";
import type { Report } from "./report.ts";
import { writeDocuments } from "./writes.ts";

/** The store is ten times as full as elsewhere: 100,000 documents in the whole bench. */
const TIMES_DOCUMENTS = 10;
const IDLE_PUTS = 300;
const MIB = 1024 ** 2;

async function command(
  node: NodeProcess,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const startedMs = performance.now();
  const child = Bun.spawn([meshNodePath, ...args], {
    env: { ...node.environment, ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const stderr = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return (performance.now() - startedMs) / 1000;
}

/** Times of single writes, one after the other, until `isOver`. */
async function putTimes(node: NodeProcess, isOver: (count: number) => boolean): Promise<number[]> {
  const times: number[] = [];
  while (!isOver(times.length)) {
    const startedMs = performance.now();
    await node.api.put("beside", `p${times.length % 100}`, { n: times.length });
    times.push(performance.now() - startedMs);
  }
  return times;
}

function addTimes(report: Report, name: string, times: readonly number[]): void {
  for (const percent of [50, 99, 100]) {
    const which = percent === 100 ? "at most" : `p${percent}`;
    report.add(`${name}, ${which}`, [percentile(times, percent)], "ms");
  }
}

async function benchBackups(formation: Formation, plan: Plan, report: Report): Promise<void> {
  const node = formation.node(0);
  const bytes = statSync(join(node.dataDir, "automerge", "peat.db")).size;
  addTimes(
    report,
    "a write, nothing beside it",
    await putTimes(node, (count) => count >= IDLE_PUTS),
  );
  const file = join(formation.folder, "bench.peat-backup");
  const beside: number[] = [];
  const seconds = await rounds(plan, async () => {
    let isDone = false;
    const making = command(node, ["backup", file, "--force"]).finally(() => {
      isDone = true;
    });
    beside.push(...(await putTimes(node, () => isDone)));
    return await making;
  });
  addTimes(report, "a write while a backup is made", beside);
  report.add("the backup, verified", seconds, "s");
  report.add(
    "  of the database",
    seconds.map((one) => bytes / MIB / one),
    "MiB/s",
  );
  report.add("  its length, as a share of the database's", [statSync(file).size / bytes], "ratio");
  const place = join(formation.folder, "restored");
  const restores = await rounds(plan, async () => {
    rmSync(place, { recursive: true, force: true });
    return await command(node, ["restore", file], { PEAT_DATA_DIR: place });
  });
  report.add("the restoring, verified", restores, "s");
  report.add(
    "  of the database",
    restores.map((one) => bytes / MIB / one),
    "MiB/s",
  );
}

async function benchTransfers(formation: Formation, plan: Plan, report: Report): Promise<void> {
  const node = formation.node(0);
  const count = plan.manyClientsWrites;
  const file = join(formation.folder, "documents.ndjson");
  const lines = Array.from({ length: count }, (_, n) => {
    return `${JSON.stringify({ _id: `i-${n}`, ...positionReport(n) })}\n`;
  });
  await Bun.write(file, lines.join(""));
  let next = count;
  const bare = await rounds(plan, () => {
    const from = next;
    next += count;
    return writeDocuments({ formation, clients: MANY_CLIENTS, from, count, revision: 0 });
  });
  report.add(`bare PUTs, ${MANY_CLIENTS} at once`, bare, "writes/s");
  const imports = await rounds(plan, async (round) => {
    const args = ["import", file, "--collection", `${BENCH_COLLECTION}-${round}`];
    return count / (await command(node, args));
  });
  report.add("import of as many, from the command's start to its end", imports, "documents/s");
  const out = join(formation.folder, "out.ndjson");
  for (const format of ["ndjson", "csv"]) {
    const exports = await rounds(plan, async () => {
      const args = ["export", `${BENCH_COLLECTION}-0`, "-o", out, "--force", "--format", format];
      return count / (await command(node, args));
    });
    report.add(`export as ${format}, from the command's start to its end`, exports, "documents/s");
  }
}

export async function benchBackup(plan: Plan, report: Report): Promise<void> {
  const count = plan.documents * TIMES_DOCUMENTS;
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
  await formation.startAll();
  report.begin(`Backups of ${count} documents, beside a node that writes`);
  await writeDocuments({ formation, clients: MANY_CLIENTS, from: 0, count, revision: 0 });
  await benchBackups(formation, plan, report);
  report.begin("Documents in and out by command");
  await benchTransfers(formation, plan, report);
}
