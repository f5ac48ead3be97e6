// Dashboard and alert rules speak of what there is: metrics that the node has, and places that the runbook has.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ALERTS } from "../../../scripts/monitoring/alerts.ts";
import { PANEL_ROWS } from "../../../scripts/monitoring/panels.ts";
import { projectDir } from "../../../scripts/support/project.ts";
import { anchorsOf } from "../../support/markdown.ts";
import { metricNamesIn, seriesNames } from "../../support/metric-names.ts";

const panels = PANEL_ROWS.flatMap(({ panels: inRow }) => inRow);

test("every series in an expression is one that a node has", async () => {
  const known = await seriesNames();
  const expressions = [...panels.flatMap(({ queries }) => queries), ...ALERTS];
  for (const { expr } of expressions) {
    const names = metricNamesIn(expr);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names)
      expect({ expr, isKnown: known.has(name) }).toMatchObject({ isKnown: true });
  }
});

test("every alert leads to its symptom in the runbook", () => {
  const anchors = anchorsOf(readFileSync(join(projectDir, "docs/operating.md"), "utf8"));
  for (const { runbook } of ALERTS) expect([...anchors]).toContain(runbook);
});

test("alerts and panels have names of their own", () => {
  for (const names of [ALERTS.map(({ name }) => name), panels.map(({ title }) => title)]) {
    expect(new Set(names).size).toBe(names.length);
  }
});
