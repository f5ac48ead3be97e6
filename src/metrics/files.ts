// What Prometheus reads of the exchange of files, where there is one.
import type { FileFigures } from "../attachments/figures.ts";
import type { MetricRegistry, Sample } from "../base/prometheus.ts";
import { each } from "./samples.ts";

export function addFiles(registry: MetricRegistry, figures: () => FileFigures): void {
  registry.counter(
    { name: "peat_file_bytes_total", help: "Bytes of frames on connections of files." },
    () => {
      const { sentBytes: sent, receivedBytes: received } = figures().traffic;
      return each("direction", { sent, received });
    },
  );
  registry.gauge(
    {
      name: "peat_files_pending",
      help: "Files to be sent, once for each node that is to have one, and to be received, by how far they are.",
    },
    () => {
      const { sending, inbox } = figures();
      return [...pending("send", sending), ...pending("receive", inbox?.pending)];
    },
  );
  registry.counter(
    { name: "peat_files_received_total", help: "Files that have come to an end, by outcome." },
    () => each("outcome", figures().inbox?.ended ?? { completed: 0, failed: 0 }),
  );
}

function pending(direction: string, counts: Readonly<Record<string, number>> = {}): Sample[] {
  return Object.entries(counts).map(([state, value]) => ({ labels: { direction, state }, value }));
}
