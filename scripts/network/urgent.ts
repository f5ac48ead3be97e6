// Two nodes and a link of 256 kbit/s: alerts while a document of 1 MiB is on its way.
import { Random } from "../model/random.ts";
import { percentile } from "../support/percentiles.ts";
import { waitFor } from "../support/waiting.ts";
import { alertMs } from "./alerts.ts";
import { Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";

const QUALITY = { bytesPerSecond: 32_000, delayMs: 25 };
const LARGE_BYTES = 1_000_000;
/** What waits before an alert is the rest of a frame and the window of so slow a link. */
const ALERT_P99_MS_AIM = 1_500;
/** Fewer would not show that they pass the document; how many do depends on the machine, too. */
const ALERTS_MIN = 3;

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  await using lab = await Lab.open({ executable, hosts: ["a", "b"], wired: ["b"] });
  await lab.startAll();
  const [a, b] = [lab.host("a").node.api, lab.host("b").node.api];
  await lab.host("b").degrade(QUALITY);
  const parts = isFull ? 1 : 2;
  told(`a document of ${(LARGE_BYTES / parts / 1e6).toFixed(2)} MB, and alerts behind it`);
  await a.put("tracks", "large", { text: new Random(1).text(LARGE_BYTES / parts) });
  const sinceMs = performance.now();
  const latencies: number[] = [];
  let arrivedMs: number | undefined;
  const arrival = waitFor(
    "the large document",
    300_000,
    async () => {
      const document = await b.get("tracks", "large");
      return document === undefined ? undefined : performance.now();
    },
    100,
  ).then((atMs) => {
    arrivedMs = atMs;
  });
  // It is awaited at the end; an alert that fails before must not leave it to nobody.
  arrival.catch(() => undefined);
  while (arrivedMs === undefined) {
    // One that came together with the document, or later, shows nothing.
    const ms = await alertMs([a, b], { id: String(latencies.length), limitMs: 60_000, pollMs: 5 });
    if (arrivedMs === undefined) latencies.push(ms);
    await Bun.sleep(100);
  }
  await arrival;
  return [
    { what: "the large document arrived after", value: (arrivedMs - sinceMs) / 1000, unit: "s" },
    {
      what: `alerts meanwhile, fewer than wanted (${latencies.length} seen)`,
      value: Math.max(0, ALERTS_MIN - latencies.length),
      unit: "",
      most: 0,
    },
    { what: "an alert arrived after, median", value: percentile(latencies, 50), unit: "ms" },
    {
      what: "an alert arrived after, p99",
      value: percentile(latencies, 99),
      unit: "ms",
      aim: ALERT_P99_MS_AIM,
    },
  ];
}

export const URGENT: Scenario = { name: "alerts beside a large document", run };
