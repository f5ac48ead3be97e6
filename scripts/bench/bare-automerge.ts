// Automerge alone, in one process, without network or disk: what the CRDT itself costs.
import * as Automerge from "@automerge/automerge";
import { positionReport } from "./documents.ts";
import { type Plan, rounds } from "./plan.ts";
import type { Report } from "./report.ts";

type Doc = Automerge.Doc<Record<string, unknown>>;

export interface BareAutomerge {
  /** One change each on new documents. */
  readonly newPerSecond: number;
  /** One change each on documents that exist already. */
  readonly changePerSecond: number;
  readonly loadSavePerSecond: number;
}

function perSecond(count: number, startedMs: number): number {
  return (count * 1000) / (performance.now() - startedMs);
}

function changed(doc: Doc, index: number, revision: number): Doc {
  const fields = Object.entries(positionReport(index, revision)).map(([name, value]) => [
    name,
    // Whole strings, as a node writes them; collaborative text would cost more.
    typeof value === "string" ? new Automerge.ImmutableString(value) : value,
  ]);
  return Automerge.change(doc, (draft) => {
    Object.assign(draft, Object.fromEntries(fields));
  });
}

function measureOnce(documents: number, round: number): BareAutomerge {
  let startedMs = performance.now();
  const docs: Doc[] = [];
  for (let i = 0; i < documents; i += 1) {
    docs.push(changed(Automerge.init<Record<string, unknown>>(), i, round));
  }
  const newPerSecond = perSecond(documents, startedMs);

  startedMs = performance.now();
  for (let i = 0; i < documents; i += 1) {
    const doc = docs[i];
    if (doc !== undefined) docs[i] = changed(doc, i, round + 1);
  }
  const changePerSecond = perSecond(documents, startedMs);

  const saved = docs.map((doc) => Automerge.save(doc));
  for (const doc of docs) Automerge.free(doc);
  startedMs = performance.now();
  for (const bytes of saved) {
    const doc = Automerge.load<Record<string, unknown>>(bytes);
    Automerge.save(doc);
    Automerge.free(doc);
  }
  return { newPerSecond, changePerSecond, loadSavePerSecond: perSecond(documents, startedMs) };
}

export async function benchBareAutomerge(plan: Plan, report: Report): Promise<BareAutomerge> {
  report.begin("Automerge alone (one process, no network, no disk)");
  const results = await rounds(plan, async (round) => measureOnce(plan.documents, round));
  return {
    newPerSecond: report.add(
      "loop of changes, a new document each",
      results.map((r) => r.newPerSecond),
      "documents/s",
    ),
    changePerSecond: report.add(
      "loop of changes, an existing document each",
      results.map((r) => r.changePerSecond),
      "changes/s",
    ),
    loadSavePerSecond: report.add(
      "loop of load and save",
      results.map((r) => r.loadSavePerSecond),
      "documents/s",
    ),
  };
}
