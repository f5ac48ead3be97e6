// Helm on our chart: what it makes of values, and what it says of wrong ones.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { projectDir } from "../support/project.ts";

export const chartDir = join(projectDir, "chart");
const SETS_DIR = join(chartDir, "ci");
const SUFFIX = "-values.yaml";
/** Golden renders show what a cluster with the Prometheus operator gets. */
const KINDS = ["ServiceMonitor", "PrometheusRule"].flatMap((kind) => [
  "--api-versions",
  `monitoring.coreos.com/v1/${kind}`,
]);

/** Names of the value sets that are linted, rendered and tried. */
export const SETS: readonly string[] = readdirSync(SETS_DIR)
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))
  .sort();

export const valuesOf = (set: string): string => join(SETS_DIR, `${set}${SUFFIX}`);
export const goldenOf = (set: string): string =>
  join(projectDir, "test", "golden", "chart", `${set}.yaml`);

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Helm {
  readonly #path: string;
  readonly #environment: Readonly<Record<string, string | undefined>>;

  /** `environment`: what helm has besides that of this process, such as KUBECONFIG. */
  constructor(path: string, environment: Readonly<Record<string, string>> = {}) {
    this.#path = path;
    this.#environment = { ...Bun.env, ...environment };
  }

  try(...args: readonly string[]): Ran {
    const ran = Bun.spawnSync([this.#path, ...args], {
      env: this.#environment,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const { exitCode } = ran;
    return { exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
  }

  /** What helm prints; what it complains of is thrown. */
  run(...args: readonly string[]): string {
    const { exitCode, stdout, stderr } = this.try(...args);
    if (exitCode === 0) return stdout;
    throw new Error(`helm ${args.join(" ")}: ${stderr.trim()}`);
  }

  /** The manifest of a value set, as the golden renders have it. */
  render(set: string, ...args: readonly string[]): string {
    return this.template("-f", valuesOf(set), ...KINDS, ...args);
  }

  template(...args: readonly string[]): string {
    return this.run("template", "peat-mesh", chartDir, "--namespace", "mesh", ...args);
  }
}
