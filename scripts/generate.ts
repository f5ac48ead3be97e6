// Writes what is generated from the tables of the source and from the .proto files; with --check, only says what differs.
//   bun run generate [--check]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMMAND_GROUPS } from "../src/cli/commands.ts";
import { renderCommands } from "../src/cli/commands-page.ts";
import { renderMarkdown } from "../src/config/render.ts";
import {
  renderChartSchema,
  renderChartTable,
  renderValues,
  renderVariables,
} from "./chart/render.ts";
import { renderAlerts } from "./monitoring/alerts.ts";
import { renderDashboard } from "./monitoring/dashboard.ts";
import { renderRoutes } from "./support/api-routes.ts";
import { PROTOBUF_PATHS, renderProtobuf } from "./support/protobuf.ts";

interface Generated {
  /** Below the project's root. */
  readonly path: string;
  render(): string;
}

const ROOT = join(import.meta.dir, "..");

/** Every committed file that comes from a table, or from a .proto file. */
export const GENERATED: readonly Generated[] = [
  { path: "docs/configuration.md", render: renderMarkdown },
  { path: "docs/commands.md", render: () => renderCommands(COMMAND_GROUPS) },
  { path: "chart/values.yaml", render: renderValues },
  { path: "chart/values.schema.json", render: renderChartSchema },
  { path: "chart/files/settings.yaml", render: renderVariables },
  { path: "chart/README.md", render: () => withTable("chart/README.md", renderChartTable()) },
  { path: "docs/api.md", render: () => withTable("docs/api.md", renderRoutes()) },
  // A chart has only what lies in its folder.
  ...["packaging/prometheus/peat-sidecar.rules.yaml", "chart/files/alerts.yaml"].map((path) => ({
    path,
    render: renderAlerts,
  })),
  ...["packaging/grafana/peat-sidecar.json", "chart/files/dashboard.json"].map((path) => ({
    path,
    render: renderDashboard,
  })),
  ...PROTOBUF_PATHS.map((path) => ({ path, render: () => renderProtobuf(path) })),
];

/** A page that is written by hand but for the table between its two marks. */
function withTable(path: string, table: string): string {
  const page = committed(path) ?? "";
  const marks = /(<!-- generated: [^\n]*-->\n)[\s\S]*(<!-- \/generated -->)/;
  if (!marks.test(page)) throw new Error(`${path} has no place for the generated table`);
  return page.replace(marks, (_, before, after) => `${before}\n${table}\n\n${after}`);
}

function committed(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch {
    // Not generated yet: differs from anything.
    return undefined;
  }
}

/** Paths of generated files whose committed text is not what would be written now. */
export function stalePaths(): readonly string[] {
  return GENERATED.filter(({ path, render }) => committed(path) !== render()).map(
    ({ path }) => path,
  );
}

if (import.meta.main) {
  const stale = stalePaths();
  if (process.argv.includes("--check")) {
    for (const path of stale) console.error(`${path} is stale; run: bun run generate`);
    process.exit(stale.length > 0 ? 1 : 0);
  }
  for (const { path, render } of GENERATED) {
    if (!stale.includes(path)) continue;
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), render());
    console.log(`wrote ${path}`);
  }
}
