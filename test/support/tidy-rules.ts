// The rules about the source that no compiler knows, as pure functions from texts to complaints.
import { dirname, join, normalize } from "node:path";

export interface SourceFile {
  /** Path from the project's root. */
  readonly path: string;
  readonly text: string;
}

/** Folders of src from the bottom up. Each may use what is below it; neighbours don't know each other. */
const LEVELS: readonly (readonly string[])[] = [
  ["base", "build-info.ts"],
  ["identity", "wire", "access"],
  ["store", "net", "discovery", "config"],
  ["sync", "attachments", "backup", "agent", "bridge"],
  ["broker", "rpc", "dashboard", "client"],
  [
    "node-status.ts",
    "node-files.ts",
    "node-operation.ts",
    "idle-memory.ts",
    "garbage-collector.ts",
    "background-compaction.ts",
    "peer-discovery.ts",
    "service-manager.ts",
    "diagnosis",
  ],
  ["metrics"],
  ["node-metrics.ts"],
  ["node-listeners.ts"],
  ["app.ts"],
  ["cli"],
  ["main.ts"],
];

/** Where a third-party module may be used: its types stop there. */
const CONFINED: Readonly<Record<string, RegExp>> = {
  "@automerge/automerge": /^src\/(store|sync)\//,
  "@bufbuild/protobuf": /^src\/rpc\//,
  "@connectrpc/": /^src\/rpc\//,
  "@elysiajs/": /^src\/broker\//,
  "@kubernetes/client-node": /^src\/discovery\/kubernetes[a-z-]*\.ts$/,
  "@logtape/logtape": /^src\/base\/log\.ts$/,
  "@number0/iroh": /^src\/net\/iroh[a-z-]*\.ts$/,
  "bonjour-service": /^src\/discovery\/mdns[a-z-]*\.ts$/,
  "bun:sqlite": /^src\/store\//,
  elysia: /^src\/broker\//,
};

export const LINES_MAX = 400;

/** Every module that a text imports, re-exports or loads, also for its types only. */
export function importsOf(text: string): string[] {
  const pattern = /\bfrom\s*["']([^"'\n]+)["']|\bimport\s*\(?\s*["']([^"'\n]+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? "");
}

/** First folder below src, or the file's name for a file in src itself. */
function unitOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function levelOf(unit: string): number {
  return LEVELS.findIndex((units) => units.includes(unit));
}

export function upwardImports(files: readonly SourceFile[]): string[] {
  const complaints: string[] = [];
  for (const { path, text } of files) {
    const unit = unitOf(path);
    const level = levelOf(unit);
    if (level === -1)
      complaints.push(`${path}: ${unit} has no level; give it one in tidy-rules.ts`);
    for (const module of importsOf(text).filter((m) => m.startsWith("."))) {
      const target = normalize(join(dirname(path), module));
      if (target === "package.json") continue;
      const other = unitOf(target);
      if (!target.startsWith("src/"))
        complaints.push(`${path}: imports ${module} from outside src`);
      else if (other !== unit && levelOf(other) >= level) {
        complaints.push(`${path}: ${unit} must not know ${other} (${module})`);
      }
    }
  }
  return complaints;
}

/** Settings become options of each service in app.ts and its part for listeners; nothing below reads them. */
export function settingsBelowApp(files: readonly SourceFile[]): string[] {
  return files
    .filter(
      ({ path }) =>
        levelOf(unitOf(path)) < levelOf("node-listeners.ts") && unitOf(path) !== "config",
    )
    .filter(({ text }) => importsOf(text).some((module) => /(^|\/)config\//.test(module)))
    .map(
      ({ path }) =>
        `${path}: only app.ts, node-listeners.ts, cli and main.ts may know the settings`,
    );
}

export function strayModules(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    importsOf(text).flatMap((module) => {
      const rule = Object.entries(CONFINED).find(
        ([name]) => module === name || module.startsWith(name.endsWith("/") ? name : `${name}/`),
      );
      return rule === undefined || rule[1].test(path) ? [] : [`${path}: must not know ${module}`];
    }),
  );
}

export function importsWithoutEnding(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    importsOf(text)
      .filter((module) => module.startsWith(".") && !/\.[a-z]+$/.test(module))
      .map((module) => `${path}: import ${module} has no file ending`),
  );
}

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\//gs, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

export function processUses(files: readonly SourceFile[]): string[] {
  const pattern =
    /\b(?:process\.(?:env|argv0?|exit|exitCode)|Bun\.(?:env|argv)|import\.meta\.env)\b/g;
  return files
    .filter(({ path }) => path !== "src/main.ts")
    .flatMap(({ path, text }) =>
      [...withoutComments(text).matchAll(pattern)].map(
        ([use]) => `${path}: ${use} belongs in src/main.ts`,
      ),
    );
}

export function longFiles(files: readonly SourceFile[]): string[] {
  return files
    .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, "").split("\n").length }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => `${path}: ${lines} lines, more than ${LINES_MAX}`);
}

export function filesWithoutPurpose(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ text }) => !/^(#!.*\n)?(\/\/ \S|\/\*\*)/.test(text))
    .map(({ path }) => `${path}: does not begin with what it is for`);
}

// Put together at run time, or these lines would be their own first offenders.
const UNFINISHED = new RegExp(
  `\\b(?:${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`,
);
const PLACES = new RegExp(
  `(?:^|[^\\w.$}])/(?:${["wo" + "rk", "ro" + "ot"].join("|")})/|\\.\\./sha${"red"}/`,
);

function linesWith(files: readonly SourceFile[], pattern: RegExp, complaint: string): string[] {
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) => {
      const found = pattern.exec(line)?.[0];
      return found === undefined ? [] : [`${path}:${index + 1}: ${complaint}: ${found.trim()}`];
    }),
  );
}

export function unfinishedWork(files: readonly SourceFile[]): string[] {
  return linesWith(files, UNFINISHED, "work left undone");
}

export function machinePaths(files: readonly SourceFile[]): string[] {
  return linesWith(files, PLACES, "a path of one machine");
}

export function looseVersions(packageJson: string): string[] {
  const parsed: Record<string, unknown> = JSON.parse(packageJson);
  return ["dependencies", "devDependencies", "optionalDependencies"].flatMap((section) =>
    Object.entries(parsed[section] ?? {})
      .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(String(version)))
      .map(([name, version]) => `${name}: ${version} is not one exact version`),
  );
}
