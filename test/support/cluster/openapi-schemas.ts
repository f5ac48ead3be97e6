// JSON schemas of all kinds that an API server knows, from its own OpenAPI description, as kubeconform reads them.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Schema = Readonly<Record<string, Json>>;

interface Description {
  readonly definitions: Readonly<Record<string, Schema>>;
}

const isMapping = (value: Json | undefined): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Kinds of texts that YAML may also write as numbers. */
function looseText(schema: Schema, name: string): boolean {
  return schema["format"] === "int-or-string" || name.endsWith(".resource.Quantity");
}

/**
 * Strict: a field that is not described is wrong. OpenAPI 2 says neither that, nor that a list or mapping may
 * be given as null, which the API server takes for absent.
 */
function strict(value: Json, name = ""): Json {
  if (Array.isArray(value)) return value.map((item) => strict(item));
  if (!isMapping(value)) return value;
  if (looseText(value, name)) return { type: ["string", "integer", "number"] };
  const entries = Object.entries(value).map(([key, inner]) => [key, strict(inner)]);
  const schema = Object.fromEntries(entries) as Schema;
  const isOpen = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (!isMapping(value["properties"]) || "additionalProperties" in value || isOpen) return schema;
  // A property may be called "properties": what is described there is a schema only with a type.
  return schema["type"] === "object" ? { ...schema, additionalProperties: false } : schema;
}

/** Writes one file for each kind into `folder`; returns kubeconform's -schema-location for them. */
export function writeSchemas(openApi: string, folder: string): string {
  const { definitions } = JSON.parse(openApi) as Description; // The API server's own description.
  mkdirSync(folder, { recursive: true });
  const all = Object.entries(definitions).map(([name, schema]) => [name, strict(schema, name)]);
  writeFileSync(
    join(folder, "_definitions.json"),
    JSON.stringify({ definitions: Object.fromEntries(all) }),
  );
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = schema["x-kubernetes-group-version-kind"];
    if (!Array.isArray(kinds)) continue;
    for (const kind of kinds) {
      if (!isMapping(kind)) continue;
      const group = String(kind["group"]).split(".")[0] ?? "";
      const suffix = group === "" ? "" : `-${group}`;
      const file = `${String(kind["kind"]).toLowerCase()}${suffix}-${kind["version"]}.json`;
      const reference = { $ref: `_definitions.json#/definitions/${name}` };
      writeFileSync(join(folder, file), JSON.stringify(reference));
    }
  }
  return join(folder, "{{ .ResourceKind }}{{ .KindSuffix }}.json");
}
