// The configuration file: YAML whose keys are settings' names or the chart's, as candidates for values.
import type { FileType } from "./kinds.ts";
import { FILE_KEYS, type Form } from "./names.ts";
import { suggestion } from "./nearest.ts";
import { type SettingName, settingOf } from "./settings.ts";

export interface FileEntry {
  readonly setting: SettingName;
  readonly form: Form;
  readonly key: string;
  readonly text: string;
}

export interface FileContents {
  readonly entries: readonly FileEntry[];
  /** Clauses that begin with the key, where one is meant. */
  readonly problems: readonly string[];
}

function typeOf(value: unknown): FileType | "mapping" {
  if (typeof value === "string") return "string";
  if (typeof value === "number") return "number";
  if (typeof value === "boolean") return "boolean";
  return Array.isArray(value) ? "list" : "mapping";
}

const TYPE_NAMES: Readonly<Record<FileType | "mapping", string>> = {
  string: "text (in quotes)",
  number: "a number",
  boolean: "true or false",
  list: "a list",
  mapping: "a mapping",
};

type Text = { readonly text: string } | { readonly problem: string };

function listText(items: readonly unknown[]): Text {
  const texts: string[] = [];
  for (const item of items) {
    if (typeof item !== "string") return { problem: "must be a list of texts" };
    if (item.includes(",")) {
      return { problem: `has a comma in item ${JSON.stringify(item)}; make it two items` };
    }
    texts.push(item);
  }
  return { text: texts.join(",") };
}

function textOf(value: unknown, types: readonly FileType[]): Text {
  const type = typeOf(value);
  if (!types.some((allowed) => allowed === type)) {
    const wanted = types.map((allowed) => TYPE_NAMES[allowed]).join(" or ");
    return { problem: `must be ${wanted}, not ${TYPE_NAMES[type]}` };
  }
  return Array.isArray(value) ? listText(value) : { text: String(value) };
}

const SECTIONS: ReadonlySet<string> = new Set(
  [...FILE_KEYS.keys()].flatMap((key) => (key.includes(".") ? [key.split(".")[0] ?? key] : [])),
);

interface Walk {
  readonly entries: FileEntry[];
  readonly problems: string[];
}

function readKey(walk: Walk, key: string, value: unknown): void {
  const known = FILE_KEYS.get(key);
  if (known === undefined) {
    walk.problems.push(`${key}: there is no such setting${suggestion(key, FILE_KEYS.keys())}`);
    return;
  }
  // A key without a value, as in the chart's `irohRelayUrls: ""`, is a setting that is not given.
  if (value === null || value === "") return;
  const types: readonly FileType[] =
    known.form === "file" ? ["string"] : settingOf(known.setting).kind.fileTypes;
  const read = textOf(value, types);
  if ("problem" in read) walk.problems.push(`${key}: ${read.problem}`);
  else walk.entries.push({ setting: known.setting, form: known.form, key, text: read.text });
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads the text of a configuration file; the empty file is a valid one. */
export function readConfigFile(text: string): FileContents {
  let root: unknown;
  try {
    root = Bun.YAML.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { entries: [], problems: [`is not YAML: ${reason}`] };
  }
  if (root === null || root === undefined) return { entries: [], problems: [] };
  if (!isMapping(root)) return { entries: [], problems: ["must be a mapping of settings"] };
  const walk: Walk = { entries: [], problems: [] };
  for (const [key, value] of Object.entries(root)) {
    if (SECTIONS.has(key) && isMapping(value)) {
      for (const [inner, leaf] of Object.entries(value)) readKey(walk, `${key}.${inner}`, leaf);
    } else readKey(walk, key, value);
  }
  return walk;
}
