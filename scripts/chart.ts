// Renders the chart's value sets with helm; --write keeps them as the golden renders, else only says what differs.
//   bun scripts/chart.ts [--write]
import { goldenOf, Helm, SETS } from "./chart/helm.ts";
import { findBuiltTool } from "./support/control-plane-tools.ts";

const found = await findBuiltTool("helm");
if ("missing" in found) {
  console.error(found.missing);
  process.exit(1);
}
const helm = new Helm(found.path);
let differing = 0;
for (const set of SETS) {
  const rendered = helm.render(set);
  const golden = Bun.file(goldenOf(set));
  if ((await golden.exists()) && (await golden.text()) === rendered) continue;
  differing += 1;
  if (process.argv.includes("--write")) {
    await Bun.write(golden, rendered);
    console.log(`wrote ${goldenOf(set)}`);
  } else console.error(`${set} is rendered differently; bun scripts/chart.ts --write keeps it`);
}
if (!process.argv.includes("--write")) process.exitCode = differing === 0 ? 0 : 1;
