// What is urgent, and how long it takes.
import type { BrokerApi } from "../support/broker-api.ts";
import { waitFor } from "../support/waiting.ts";

/** Ms until the far node has an alert that is written on the near one now. */
export async function alertMs(
  [near, far]: readonly [BrokerApi, BrokerApi],
  { id, limitMs, pollMs }: { id: string; limitMs: number; pollMs: number },
): Promise<number> {
  const sentMs = performance.now();
  await near.put("alerts", id, { id });
  await waitFor(
    `alert ${id}`,
    limitMs,
    async () => (await far.get("alerts", id)) !== undefined || undefined,
    pollMs,
  );
  return performance.now() - sentMs;
}
