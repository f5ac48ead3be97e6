// bun run bench: what three nodes on loopback do, beside bare Automerge and automerge-repo, in one run.
import { parseArgs } from "node:util";
import { benchAttachments } from "./bench/attachments.ts";
import { benchAutomergeRepo } from "./bench/automerge-repo.ts";
import { benchBackup } from "./bench/backup.ts";
import { benchBareAutomerge } from "./bench/bare-automerge.ts";
import { benchCatchUp, benchEmptyReconnect, benchReconnect } from "./bench/catch-up.ts";
import { benchCompaction } from "./bench/compaction.ts";
import { benchDocuments, benchPeers, benchWire } from "./bench/curves.ts";
import { benchEncryption } from "./bench/encryption.ts";
import { FULL_PLAN, MANY_CLIENTS, type Plan, QUICK_PLAN } from "./bench/plan.ts";
import { loadAverage, machine } from "./bench/processes.ts";
import { benchQueries } from "./bench/queries.ts";
import { Report } from "./bench/report.ts";
import { benchRest } from "./bench/rest.ts";
import { benchRpc } from "./bench/rpc.ts";
import { benchScrape } from "./bench/scrape.ts";
import { benchStart, EMPTY_START, FULL_START } from "./bench/start.ts";
import { benchVisible } from "./bench/visible.ts";
import { benchWrites, writeDocuments } from "./bench/writes.ts";
import { exitOnSignals } from "./support/at-exit.ts";
import { ensureHostExecutable, meshNodePath } from "./support/executable.ts";
import { Formation } from "./support/formation.ts";

const USAGE = `usage: bun run bench [--quick] [--only writes,full,queries,rpc,repo,encryption,backup,scrape,wire,peers,documents]

--quick  one round of everything, with fewer documents: a look, not a result
--only   some parts of: latencies and writes, compaction, a full store, queries, RPC, automerge-repo; bare Automerge is always there.
         By name only: what encryption on disk costs, what backups cost, what a scrape of the metrics costs, bytes on the wire per change, curves over the number of peers and of documents`;

const NODES = 3;

async function build(): Promise<void> {
  await ensureHostExecutable();
}

async function openFormation(): Promise<Formation> {
  const formation = await Formation.prepare({ executable: meshNodePath, nodes: NODES });
  try {
    await formation.startAll();
  } catch (reason) {
    await formation[Symbol.asyncDispose]();
    throw reason;
  }
  return formation;
}

/** The whole curve, or its beginning. */
function documentCounts({ documents }: Plan): number[] {
  return [documents / 10, documents, documents * 10];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "writes,compaction,full,queries,rpc,repo" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const parts = new Set(values.only.split(","));
  const plan: Plan = values.quick ? QUICK_PLAN : FULL_PLAN;
  if (values.only !== "repo") await build();

  console.log(`${machine()}; load average before: ${loadAverage()}`);
  console.log(`Each figure is the median of ${plan.rounds} unless it says otherwise.`);
  const startedMs = performance.now();
  const report = new Report();
  const bare = await benchBareAutomerge(plan, report);

  if (parts.has("writes")) {
    await using formation = await openFormation();
    report.begin("From process start to ready");
    await benchStart(
      { formation, name: "empty store, empty formation", isEmpty: true, aim: EMPTY_START },
      plan,
      report,
    );
    await formation.node(2).connected(NODES - 1);
    await benchVisible(formation, plan, report);
  }
  if (parts.has("writes")) {
    await using formation = await openFormation();
    await benchWrites(formation, plan, bare, report);
  }
  if (parts.has("compaction")) await benchCompaction(plan, report);
  if (parts.has("encryption")) await benchEncryption(plan, report);
  if (parts.has("full")) {
    await using formation = await openFormation();
    const count = plan.documents;
    const emptyBytes = await benchEmptyReconnect(formation, plan, report);
    await writeDocuments({ formation, clients: MANY_CLIENTS, from: 0, count, revision: 0 });
    await formation.equal(count, plan.limitMs);
    await benchRest(formation, plan, report);
    report.begin(`From process start to ready, ${count} documents`);
    await benchStart(
      { formation, name: "full store", isEmpty: false, aim: FULL_START },
      plan,
      report,
    );
    await benchCatchUp(formation, plan, bare, report);
    await benchReconnect(formation, plan, emptyBytes, report);
  }
  if (parts.has("queries")) await benchQueries(plan, report);
  if (parts.has("rpc")) await benchRpc(plan, report);
  if (parts.has("attachments")) await benchAttachments(plan, report);
  if (parts.has("backup")) await benchBackup(plan, report);
  if (parts.has("scrape")) await benchScrape(plan, report);
  if (parts.has("wire")) await benchWire(plan, report);
  if (parts.has("peers")) await benchPeers(plan, report);
  if (parts.has("documents")) await benchDocuments(plan, documentCounts(plan), report);
  if (parts.has("repo")) await benchAutomergeRepo(plan, report);

  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  console.log(`\n════ results; ${machine()}; ${minutes} minutes; load average: ${loadAverage()}`);
  report.print();
  const { aims, missed } = report;
  console.log(
    `\n${aims - missed.length} of ${aims} aims met${missed.length === 0 ? "" : "; missed:"}`,
  );
  for (const name of missed) console.log(`  ${name}`);
  return 0;
}

exitOnSignals();
process.exit(await main());
