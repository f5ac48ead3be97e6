// What Prometheus reads of the process, by the names that dashboards know, and of its event loop and certificate.
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { Distribution } from "../base/distribution.ts";
import type { MetricRegistry, Sample } from "../base/prometheus.ts";
import { MS_PER_SEC, one } from "./samples.ts";

const US_PER_SEC = 1e6;

export function addProcess(registry: MetricRegistry, loopDelays: Distribution): void {
  const startedSecs = Date.now() / MS_PER_SEC - process.uptime();
  registry.counter(
    { name: "process_cpu_seconds_total", help: "Seconds of user and system CPU time." },
    () => {
      const { user, system } = process.cpuUsage();
      return one((user + system) / US_PER_SEC);
    },
  );
  registry.gauge({ name: "process_resident_memory_bytes", help: "Bytes of resident memory." }, () =>
    one(process.memoryUsage.rss()),
  );
  registry.gauge(
    {
      name: "process_start_time_seconds",
      help: "Start of the process, in seconds since the Unix epoch.",
    },
    () => one(startedSecs),
  );
  registry.gauge({ name: "process_open_fds", help: "Open file descriptors." }, () =>
    one(readdirSync("/proc/self/fd").length),
  );
  registry.histogram(
    {
      name: "peat_event_loop_delay_seconds",
      help: "Seconds by which a timer was late, looked at five times a second.",
    },
    loopDelays,
  );
}

/** `path`: of a certificate in PEM; looked at in each scrape, for it is exchanged while the node runs. */
export function addCertificate(registry: MetricRegistry, path: string): void {
  registry.gauge(
    {
      name: "peat_tls_certificate_expiry_timestamp_seconds",
      help: "When the listeners' certificate ends, in seconds since the Unix epoch.",
    },
    () => expiryOf(path),
  );
}

function expiryOf(path: string): Sample[] {
  try {
    return one(new X509Certificate(readFileSync(path)).validToDate.getTime() / MS_PER_SEC);
  } catch {
    // Being exchanged: the listeners say if it stays unsound.
    return [];
  }
}
