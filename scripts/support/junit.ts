// Reads what `bun test --reporter=junit` writes: which tests there were, and how each ended.

export type TestResult = "passed" | "failed" | "skipped";

export interface TestCase {
  /** Path of the test file, as bun wrote it. */
  readonly file: string;
  /** Groups and name, joined by " > ". */
  readonly name: string;
  readonly result: TestResult;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d+)|([a-z]+));/g, (whole, code: string, name: string) =>
    code === undefined ? (ENTITIES[name] ?? whole) : String.fromCodePoint(Number(code)),
  );
}

function attribute(tag: string, name: string): string {
  return unescapeXml(new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1] ?? "");
}

/** All test cases of a report, in its order. */
export function parseJunit(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  for (const match of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const tag = match[1] ?? "";
    const inside = match[2] ?? "";
    const group = attribute(tag, "classname");
    const name = attribute(tag, "name");
    const hasFailed = inside.includes("<failure") || inside.includes("<error");
    cases.push({
      file: attribute(tag, "file"),
      name: group === "" ? name : `${group} > ${name}`,
      result: hasFailed ? "failed" : inside.includes("<skipped") ? "skipped" : "passed",
    });
  }
  return cases;
}

/** Why a test was skipped: by convention its name ends in "[skipped: reason]" or "(needs something)". */
export function skipReason(name: string): string {
  const match = /\[skipped: ([^\]]+)\]|\((needs [^()]+)\)/.exec(name);
  return match?.[1] ?? match?.[2] ?? "no reason given";
}
