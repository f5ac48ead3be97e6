// Two nodes and a link of 64 kbit/s: documents with a long history that are edited faster than the link carries it.
import { Random } from "../model/random.ts";
import { percentile } from "../support/percentiles.ts";
import { alertMs } from "./alerts.ts";
import { Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const BYTES_PER_SECOND = 8_000;
const QUALITY = { bytesPerSecond: BYTES_PER_SECOND, delayMs: 300 };
/** A window and a frame of so slow a link, and the way there. */
const ALERT_MS_AIM = 2_500;
/** Of each document, as good as incompressible. */
const HISTORY_CHARS = 200_000;
/** What an edit needs as an Automerge change, about; and as much again for everything around it. */
const EDIT_BYTES = 2 * 130;

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const documents = isFull ? 20 : 10;
  const edits = isFull ? 100 : 40;
  const random = new Random(1);
  await using lab = await Lab.open({ executable, hosts: ["a", "b"], wired: ["b"] });
  await lab.startAll();
  const { api } = lab.host("a").node;
  const ids = Array.from({ length: documents }, (_, n) => `note-${n}`);
  for (const id of ids) await api.put("notes", id, { text: random.text(HISTORY_CHARS), edit: 0 });
  await lab.equal(documents, 60_000);
  await lab.settled();
  const far = lab.host("b");
  await far.degrade(QUALITY);
  told(`${edits} edits of each of ${documents} documents of ${HISTORY_CHARS / 1000} KB`);
  const { receivedBytes: before } = far.counters();
  const sinceMs = performance.now();
  const alerts: Promise<number>[] = [];
  for (let edit = 1; edit <= edits; edit += 1) {
    for (const id of ids) await api.patch("notes", id, { edit });
    if (edit % 4 === 0) {
      const alert = alertMs([api, far.node.api], {
        id: String(edit),
        limitMs: 400_000,
        pollMs: 50,
      });
      // It is told at the end; what fails before must not leave it to nobody.
      alert.catch(() => undefined);
      alerts.push(alert);
    }
  }
  const writtenMs = performance.now();
  await lab.equal(documents + alerts.length, 400_000);
  const seconds = (performance.now() - writtenMs) / 1000;
  const bytes = far.counters().receivedBytes - before;
  const history = documents * HISTORY_CHARS;
  const latencies = await Promise.all(alerts);
  return [
    { what: "writing took", value: (writtenMs - sinceMs) / 1000, unit: "s" },
    { what: "equal after the last edit", value: seconds, unit: "s" },
    { what: "an alert meanwhile, median", value: percentile(latencies, 50), unit: "ms" },
    {
      what: "an alert meanwhile, slowest",
      value: Math.max(...latencies),
      unit: "ms",
      aim: ALERT_MS_AIM,
    },
    { what: "bytes on the wire for each edit", value: bytes / (edits * documents), unit: "B" },
    {
      what: "bytes on the wire, times those of all histories",
      value: bytes / history,
      unit: "",
      // Any more, and histories were sent again.
      most: 0.5,
      // Each edit by itself, as if none had waited for another.
      aim: Math.max(0.2, (edits * documents * EDIT_BYTES) / history),
    },
  ];
}

export const EDITS: Scenario = { name: "edits of long histories", run };
