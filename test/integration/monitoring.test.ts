// Prometheus' own checker judges the alert rules and the dashboard's queries, and each rule is shown to fire on what it
// is for, and on nothing else.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ALERTS } from "../../scripts/monitoring/alerts.ts";
import { renderDashboard } from "../../scripts/monitoring/dashboard.ts";
import { PANEL_ROWS } from "../../scripts/monitoring/panels.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { tempFolder } from "../support/temp-folder.ts";

const PROMTOOL = Bun.which("promtool");
const missing = PROMTOOL === null ? "needs the program promtool" : undefined;
const RULES = join(projectDir, "packaging/prometheus/peat-sidecar.rules.yaml");

function promtool(...args: readonly string[]): { code: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([PROMTOOL ?? "promtool", ...args]);
  return { code: exitCode, said: `${stdout}${stderr}` };
}

/** Series once a minute, in the notation of promtool's tests, and the minute at which it is asked. */
interface Case {
  readonly series: Readonly<Record<string, string>>;
  readonly minutes: number;
}

const AT = 'job="peat",instance="a"';
const PEER = `{${AT},peer="b"}`;
const warning = (name: string) => `peat_node_warnings{${AT},name="${name}"}`;
const DAY = 24 * 60;

/** What each alert is for, and what comes near it and is none. */
const CASES: Readonly<Record<string, { fires: Case; quiet: Case }>> = {
  PeatNodeDown: {
    fires: {
      series: { [`up{${AT}}`]: "1x10 0x20", [`peat_node_info{${AT}}`]: "1x10" },
      minutes: 20,
    },
    // Another program's target.
    quiet: { series: { [`up{${AT}}`]: "1x10 0x20" }, minutes: 20 },
  },
  PeatNodeRestarts: {
    fires: {
      series: {
        [`process_start_time_seconds{${AT}}`]: "0+60x30",
        [`peat_node_info{${AT}}`]: "1x30",
      },
      minutes: 30,
    },
    quiet: {
      series: {
        [`process_start_time_seconds{${AT}}`]: "5x20 1000x10",
        [`peat_node_info{${AT}}`]: "1x30",
      },
      minutes: 30,
    },
  },
  PeatNodeNotReady: {
    fires: { series: { [`peat_node_ready{${AT}}`]: "0x20" }, minutes: 15 },
    quiet: { series: { [`peat_node_ready{${AT}}`]: "0x8 1x12" }, minutes: 15 },
  },
  PeatEventLoopSlow: {
    fires: {
      series: {
        [`peat_event_loop_delay_seconds_bucket{${AT},le="1"}`]: "0x60",
        [`peat_event_loop_delay_seconds_bucket{${AT},le="2.5"}`]: "0+60x60",
        [`peat_event_loop_delay_seconds_bucket{${AT},le="+Inf"}`]: "0+60x60",
      },
      minutes: 50,
    },
    quiet: {
      series: {
        [`peat_event_loop_delay_seconds_bucket{${AT},le="0.01"}`]: "0+300x60",
        [`peat_event_loop_delay_seconds_bucket{${AT},le="2.5"}`]: "0+301x60",
        [`peat_event_loop_delay_seconds_bucket{${AT},le="+Inf"}`]: "0+301x60",
      },
      minutes: 50,
    },
  },
  PeatRequestsFail: {
    fires: {
      series: {
        [`peat_http_request_duration_seconds_count{${AT},status="200"}`]: "0+90x60",
        [`peat_http_request_duration_seconds_count{${AT},status="507"}`]: "0+10x60",
      },
      minutes: 40,
    },
    // Clients' mistakes are not the node's.
    quiet: {
      series: {
        [`peat_http_request_duration_seconds_count{${AT},status="200"}`]: "0+90x60",
        [`peat_http_request_duration_seconds_count{${AT},status="404"}`]: "0+10x60",
        [`peat_http_request_duration_seconds_count{${AT},status="503"}`]: "0+1x60",
      },
      minutes: 40,
    },
  },
  PeatCertificateEnds: {
    fires: {
      series: { [`peat_tls_certificate_expiry_timestamp_seconds{${AT}}`]: `${13 * 86_400}x90` },
      minutes: 80,
    },
    quiet: {
      series: { [`peat_tls_certificate_expiry_timestamp_seconds{${AT}}`]: `${30 * 86_400}x90` },
      minutes: 80,
    },
  },
  PeatPeerDown: {
    fires: { series: { [`peat_peer_connected${PEER}`]: "1x5 0x20" }, minutes: 25 },
    quiet: { series: { [`peat_peer_connected${PEER}`]: "1x5 0x5 1x15" }, minutes: 25 },
  },
  PeatNodeAlone: {
    fires: {
      series: {
        [`peat_peers{${AT},path="direct"}`]: "0x20",
        [`peat_peers{${AT},path="relay"}`]: "0x20",
        [`peat_peers{${AT},path="none"}`]: "2x20",
      },
      minutes: 15,
    },
    // It knows of nobody: that is how a first node begins.
    quiet: {
      series: {
        [`peat_peers{${AT},path="direct"}`]: "0x20",
        [`peat_peers{${AT},path="relay"}`]: "0x20",
        [`peat_peers{${AT},path="none"}`]: "0x20",
      },
      minutes: 15,
    },
  },
  PeatNameTwice: {
    fires: { series: { [warning("duplicate_name")]: "1x10" }, minutes: 5 },
    quiet: { series: { [warning("orphans")]: "1x10" }, minutes: 5 },
  },
  PeatSyncStopped: {
    fires: { series: { [`peat_sync_running{${AT}}`]: "0x20" }, minutes: 18 },
    quiet: { series: { [`peat_sync_running{${AT}}`]: "1x20" }, minutes: 18 },
  },
  PeatClockAhead: {
    fires: { series: { [warning("clock")]: "1x20" }, minutes: 15 },
    quiet: { series: { [warning("discovery")]: "1x20" }, minutes: 15 },
  },
  PeatRulesDiffer: {
    fires: { series: { [warning("rules_differ")]: "1x40" }, minutes: 35 },
    // A rolling change of settings.
    quiet: { series: { [warning("rules_differ")]: "1x20 0x20" }, minutes: 35 },
  },
  PeatSyncLag: {
    fires: { series: { [`peat_peer_convergence_lag_seconds${PEER}`]: "0+60x20" }, minutes: 15 },
    quiet: { series: { [`peat_peer_convergence_lag_seconds${PEER}`]: "20x20" }, minutes: 15 },
  },
  PeatSyncSlow: {
    fires: {
      series: {
        [`peat_sync_convergence_seconds_bucket{${AT},le="10"}`]: "0+8x60",
        [`peat_sync_convergence_seconds_bucket{${AT},le="30"}`]: "0+10x60",
        [`peat_sync_convergence_seconds_bucket{${AT},le="+Inf"}`]: "0+10x60",
      },
      minutes: 50,
    },
    quiet: {
      series: {
        [`peat_sync_convergence_seconds_bucket{${AT},le="1"}`]: "0+10x60",
        [`peat_sync_convergence_seconds_bucket{${AT},le="30"}`]: "0+10x60",
        [`peat_sync_convergence_seconds_bucket{${AT},le="+Inf"}`]: "0+10x60",
      },
      minutes: 50,
    },
  },
  PeatQueueGrows: {
    fires: { series: { [`peat_peer_queued_documents${PEER}`]: "0+500x60" }, minutes: 50 },
    // Large, and on its way down.
    quiet: { series: { [`peat_peer_queued_documents${PEER}`]: "50000-500x60" }, minutes: 50 },
  },
  PeatDocumentsStuck: {
    fires: { series: { [`peat_stuck_documents{${AT}}`]: "1x30" }, minutes: 20 },
    quiet: { series: { [`peat_stuck_documents{${AT}}`]: "0x30" }, minutes: 20 },
  },
  PeatOrphans: {
    fires: { series: { [`peat_store_set_aside{${AT},reason="orphan"}`]: "3x30" }, minutes: 20 },
    quiet: { series: { [`peat_store_set_aside{${AT},reason="deleted"}`]: "3x30" }, minutes: 20 },
  },
  PeatFilesWithoutRoom: {
    fires: {
      series: { [`peat_files_pending{${AT},direction="receive",state="without_room"}`]: "1x20" },
      minutes: 15,
    },
    quiet: {
      series: { [`peat_files_pending{${AT},direction="receive",state="waiting"}`]: "9x20" },
      minutes: 15,
    },
  },
  PeatDiskLow: {
    fires: {
      series: {
        [`peat_store_disk_free_bytes{${AT}}`]: "5e9x30",
        [`peat_store_disk_size_bytes{${AT}}`]: "100e9x30",
      },
      minutes: 25,
    },
    quiet: {
      series: {
        [`peat_store_disk_free_bytes{${AT}}`]: "50e9x30",
        [`peat_store_disk_size_bytes{${AT}}`]: "100e9x30",
      },
      minutes: 25,
    },
  },
  PeatDiskFills: {
    fires: { series: { [`peat_store_disk_free_bytes{${AT}}`]: "50e9-50e6x500" }, minutes: 480 },
    quiet: { series: { [`peat_store_disk_free_bytes{${AT}}`]: "50e9-1e6x500" }, minutes: 480 },
  },
  PeatCommitsFail: {
    fires: { series: { [`peat_store_commit_failures_total{${AT}}`]: "0x5 1+1x5" }, minutes: 9 },
    quiet: { series: { [`peat_store_commit_failures_total{${AT}}`]: "7x10" }, minutes: 9 },
  },
  PeatDocumentsDamaged: {
    fires: {
      series: { [`peat_store_set_aside{${AT},reason="damaged"}`]: `0x${DAY} 2x100` },
      minutes: DAY + 60,
    },
    // Found the week before.
    quiet: {
      series: { [`peat_store_set_aside{${AT},reason="damaged"}`]: `2x${DAY + 100}` },
      minutes: DAY + 60,
    },
  },
};

/** One world of promtool's tests: whether the alert fires in it. */
function worldOf(alert: string, { series, minutes }: Case, count: number | undefined) {
  return {
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
        eval_time: `${minutes}m`,
        exp_samples: count === undefined ? [] : [{ labels: "{}", value: count }],
      },
    ],
  };
}

test("every alert has a world in which it fires and one in which it does not", () => {
  expect(new Set(Object.keys(CASES))).toEqual(new Set(ALERTS.map(({ name }) => name)));
});

test.skipIf(missing !== undefined)(
  `the rules are sound, and fire on what they are for and on nothing near it (${missing ?? "promtool"})`,
  async () => {
    expect(promtool("check", "rules", RULES)).toMatchObject({ code: 0 });
    using folder = tempFolder();
    const tests = Object.entries(CASES).flatMap(([alert, { fires, quiet }]) => [
      worldOf(alert, fires, 1),
      worldOf(alert, quiet, undefined),
    ]);
    const path = folder.file("worlds.yaml");
    await Bun.write(
      path,
      JSON.stringify({ rule_files: [RULES], evaluation_interval: "1m", tests }),
    );
    expect(promtool("test", "rules", path)).toEqual({
      code: 0,
      said: `Unit Testing:  ${path}\n  SUCCESS\n\n`,
    });
  },
  120_000,
);

/** As Grafana would send it. */
function filledIn(expr: string): string {
  return expr.replaceAll("$__rate_interval", "5m").replaceAll(/\$(job|instance)/g, ".+");
}

test.skipIf(missing !== undefined)(
  `every query of the dashboard is one that Prometheus understands (${missing ?? "promtool"})`,
  async () => {
    const queries = PANEL_ROWS.flatMap(({ panels }) => panels).flatMap(({ queries }) => queries);
    const rules = queries.map(({ expr }, n) => ({ record: `q:${n}`, expr: filledIn(expr) }));
    using folder = tempFolder();
    const path = folder.file("queries.yaml");
    await Bun.write(path, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    const { code, said } = promtool("check", "rules", path);
    expect({ code, said }).toMatchObject({ code: 0 });
    expect(said).toContain(`${queries.length} rules found`);
  },
);

test("no two panels of the dashboard lie on each other, and none beyond the edge", () => {
  const { panels } = JSON.parse(renderDashboard());
  const taken = new Set<string>();
  for (const { gridPos } of panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.has(`${x} ${y}`)).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
  }
});
