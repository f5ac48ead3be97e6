// What a row of the chart's table of values is, and how a row is made from one of the settings table.
import type { JsonSchema } from "../../src/config/kinds.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "../../src/config/settings.ts";

/** What YAML and JSON can say. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

export interface Value {
  /** Keys with dots between levels. */
  readonly path: string;
  readonly fallback: Json;
  readonly schema: JsonSchema;
  /** Sentences for values.yaml, README and schema. */
  readonly help: string;
}

/** A heading in values.yaml, and the description of a level in the schema. */
export interface Section {
  readonly path: string;
  readonly help: string;
}

export type Row = Value | Section;

export const isValue = (row: Row): row is Value => "fallback" in row;

/** Two rules of these settings are the chart's business: a probe and a Service need to know the port. */
function isPort(name: SettingName): boolean {
  return name === "brokerPort" || name === "irohBindPort";
}

/**
 * JavaScript's escapes in a pattern become the characters themselves: Helm's expressions don't know them,
 * and JSON escapes the characters again.
 */
function portable(pattern: string): string {
  return pattern.replaceAll(/\\u([0-9a-f]{4})/g, (_, hex) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
}

function wordsOf(schema: unknown): readonly string[] | undefined {
  if (typeof schema !== "object" || schema === null || !("enum" in schema)) return undefined;
  return Array.isArray(schema.enum) ? schema.enum.map(String) : undefined;
}

/** The schema of a setting as Helm can check it. */
export function schemaOf(name: SettingName): JsonSchema {
  const { kind, fallback } = settingOf(name);
  const { pattern, items, ...rest } = kind.schema;
  const schema: Record<string, unknown> = { ...rest };
  if (isPort(name)) schema["minimum"] = 1;
  if (items !== undefined) {
    schema["items"] = items;
    const words = wordsOf(items)?.join("|");
    if (words !== undefined) schema["pattern"] = `^(none|(${words})(,(${words}))*)?$`;
  }
  if (typeof pattern === "string") {
    // A value that may be absent is empty in values.yaml.
    const isOptional = fallback.kind === "none";
    schema["pattern"] = isOptional ? `^$|${portable(pattern)}` : portable(pattern);
  }
  return schema;
}

/** The default as values.yaml writes it: what is absent or an empty list is the empty text. */
function fallbackOf(name: SettingName): Json {
  const { fallback, kind } = settingOf(name);
  if (fallback.kind !== "text") return "";
  const text = fallback.texts["peat-mesh-node"];
  if (kind.fileTypes.includes("boolean")) return text === "true";
  if (kind.fileTypes.includes("number")) return Number(text);
  return text === "none" ? "" : text;
}

/** The setting with this key in the chart; a bug if there is none. */
function settingAt(path: string): SettingName {
  const name = SETTING_NAMES.find((candidate) => settingOf(candidate).chart === path);
  if (name === undefined) throw new Error(`no setting has the chart's key ${path}`);
  return name;
}

/** A row whose default, rule and sentence are those of the settings table. */
export function setting(path: string): Value {
  const name = settingAt(path);
  const { help, env } = settingOf(name);
  return {
    path,
    fallback: fallbackOf(name),
    schema: schemaOf(name),
    help: `${help} (${env[0]})`,
  };
}

/** A row of the chart's own. */
export function own(path: string, fallback: Json, schema: JsonSchema, help: string): Value {
  return { path, fallback, schema, help };
}

export const text: JsonSchema = { type: "string" };
export const yesNo: JsonSchema = { type: "boolean" };
export const mapping: JsonSchema = { type: "object" };
export const mappings: JsonSchema = { type: "array", items: { type: "object" } };
export const texts: JsonSchema = { type: "object", additionalProperties: { type: "string" } };
export const oneOfWords = (...words: readonly string[]): JsonSchema => ({ enum: words });
export const whole = (minimum: number, maximum: number): JsonSchema => ({
  type: "integer",
  minimum,
  maximum,
});
/** The name of a Secret or of one of its keys; the empty text is none. */
export const objectName = { type: "string", maxLength: 253, pattern: "^[A-Za-z0-9._-]*$" } as const;
