// `doctor`: what is wrong with the node, its machine and its network, each with a remedy; also without a node.
import type { Finding, Severity } from "../broker/diagnostics.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import { allFindings, flagProblems } from "./doctor/all-findings.ts";
import { GROUPS, SEVERITIES } from "./doctor/finding.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printCount } from "./quantities.ts";
import type { Tone } from "./style.ts";
import { safeText } from "./terminal-text.ts";

const TONES: Readonly<Record<Severity, Tone>> = { ok: "good", warning: "warning", problem: "bad" };
const LABEL_CELLS = 9;

function groupsOf(findings: readonly Finding[]): readonly string[] {
  const known: readonly string[] = GROUPS;
  const others = findings.map(({ group }) => group).filter((group) => !known.includes(group));
  return [...known, ...new Set(others)];
}

/** The worst first, in each group. */
export function printFindings(
  findings: readonly Finding[],
  { paint }: Pick<Printer, "paint">,
): string {
  const parts: string[] = [];
  for (const group of groupsOf(findings)) {
    const own = findings.filter((finding) => finding.group === group);
    if (own.length === 0) continue;
    parts.push(`${paint(safeText(group), "strong")}\n`);
    for (const severity of SEVERITIES) {
      for (const { message, remedy } of own.filter((finding) => finding.severity === severity)) {
        const label = paint(severity.padEnd(LABEL_CELLS), TONES[severity]);
        parts.push(`  ${label}${safeText(message)}\n`);
        if (remedy === null) continue;
        parts.push(`  ${" ".repeat(LABEL_CELLS)}${paint(safeText(remedy), "dim")}\n`);
      }
    }
  }
  const count = (of: Severity) => findings.filter(({ severity }) => severity === of).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const tone = problems > 0 ? "bad" : warnings > 0 ? "warning" : "good";
  const told = `${printCount(problems, "problem")}, ${printCount(warnings, "warning")}`;
  return `${parts.join("")}${paint(told, tone)}\n`;
}

async function doctor(call: Call): Promise<number> {
  const printer = new Printer(call);
  const problems = flagProblems(call, call.settings());
  if (problems.length > 0) return refuse(call.context, { problems, warnings: [] });
  const findings = await allFindings(call);
  if (printer.form === "text") printer.write(printFindings(findings, printer));
  else if (printer.form === "json") printer.write(printer.json({ findings }));
  else printer.write(printer.jsonList(findings));
  return findings.some(({ severity }) => severity === "problem") ? EXIT.failed : EXIT.ok;
}

export const doctorCommand: Command = {
  name: "doctor",
  sentence:
    "Look for what is wrong with the node, its peers, this machine and the way to each peer; also while no node runs.",
  usage: "[--json | --ndjson] [--url URL] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["doctor", "doctor --json", "doctor --url http://10.0.0.7:8081"],
  run: doctor,
};
