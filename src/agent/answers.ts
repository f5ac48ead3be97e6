// What the agent says, read from the JSON of its three answers. Names may be in either spelling of protobuf's JSON
// (packageName, package_name); enums are names, numbers or digits; 64-bit numbers are digits or numbers; what is
// not known is passed over, and what is missing is null.
import { Fault } from "../base/faults.ts";
import { isObject, JsonFloat, type JsonObject, type JsonValue, parseJson } from "../store/json.ts";

/** An enum's value: its number, or its name where the agent prints names. */
export type EnumValue = number | string | null;

export interface AgentStatus {
  readonly version: string | null;
  readonly architecture: string | null;
  readonly classification: string | null;
  readonly k8sVersion: string | null;
  readonly k8sNodeStatus: string | null;
  readonly zarfVersion: string | null;
  readonly runMode: string | null;
}

/** A deployed package. */
export interface Deployment {
  readonly name: string | null;
  readonly version: string | null;
  readonly status: EnumValue;
  readonly flavor: string | null;
  readonly namespaceOverride: string | null;
  readonly annotations: Readonly<Record<string, string>> | null;
}

/** One tag of a package that was pulled from a registry. */
export interface PulledPackage {
  readonly registry: string | null;
  readonly packageName: string | null;
  readonly reference: string | null;
  readonly arch: string | null;
  readonly version: string | null;
  readonly totalBytes: number | bigint | null;
  readonly pullStatus: EnumValue;
}

/** Entries of one answer; more are no agent's. */
const ENTRIES_MAX = 10_000;
/** Of one text, which becomes a field of a document. */
const TEXT_CHARS_MAX = 4096;
const ANNOTATIONS_MAX = 256;

function invalid(call: string, rule: string, cause?: unknown): Fault {
  return new Fault("wire_invalid", `the agent's answer to ${call} ${rule}`, {}, cause);
}

function parseAnswer(call: string, text: string): JsonObject {
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw invalid(call, "is not JSON", cause);
  }
  if (isObject(value)) return value;
  throw invalid(call, "is not a JSON object");
}

/** By its JSON name, or by its name in the proto file; null is as good as absent. */
function field(object: JsonObject, name: string): JsonValue | undefined {
  const inProto = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  for (const key of [name, inProto]) {
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    // 5.0 is 5 where a whole number is wanted.
    if (value instanceof JsonFloat) return value.value;
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

function readText(object: JsonObject, name: string): string | null {
  const value = field(object, name);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string" || value.length > TEXT_CHARS_MAX) return null;
  return value.isWellFormed() ? value : null;
}

function readEnum(object: JsonObject, name: string): EnumValue {
  const value = field(object, name);
  if (typeof value === "number") return Number.isInteger(value) ? value : null;
  if (typeof value !== "string" || !/^(?:-?[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.]{0,127})$/.test(value))
    return null;
  return /^-?[0-9]/.test(value) ? Number(value) : value;
}

/** Of 64 bits at most. */
function readCount(object: JsonObject, name: string): number | bigint | null {
  const value = field(object, name);
  if (typeof value === "bigint") return value >= 0n ? value : null;
  if (typeof value === "number") return Number.isInteger(value) && value >= 0 ? value : null;
  if (typeof value !== "string" || !/^[0-9]{1,19}$/.test(value)) return null;
  const count = BigInt.asIntN(64, BigInt(value));
  if (count < 0n) return null;
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : count;
}

function readList(call: string, object: JsonObject, name: string): JsonObject[] {
  const value = field(object, name);
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(call, `has ${name} that is no list`);
  if (value.length > ENTRIES_MAX) {
    throw invalid(call, `has ${value.length} ${name}, more than ${ENTRIES_MAX}`);
  }
  // Half of a list would be taken for all of it, and the rest for gone.
  if (!value.every(isObject)) throw invalid(call, `has ${name} that are no objects`);
  return value;
}

/** A map of texts; values of other kinds are left out. */
function readTexts(object: JsonObject, name: string): Record<string, string> | null {
  const value = field(object, name);
  if (value === undefined || !isObject(value)) return null;
  const names = Object.keys(value).slice(0, ANNOTATIONS_MAX);
  const entries = names.flatMap((key) => {
    const text = readText(value, key);
    const isName = key !== "__proto__" && key.length <= TEXT_CHARS_MAX && key.isWellFormed();
    return text === null || !isName ? [] : [[key, text] as const];
  });
  return Object.fromEntries(entries);
}

/** Fault wire_invalid for what is no JSON object. */
export function parseStatus(text: string): AgentStatus {
  const answer = parseAnswer("/status", text);
  return {
    version: readText(answer, "version"),
    architecture: readText(answer, "architecture"),
    classification: readText(answer, "classification"),
    k8sVersion: readText(answer, "k8sVersion"),
    k8sNodeStatus: readText(answer, "k8sNodeStatus"),
    zarfVersion: readText(answer, "zarfVersion"),
    runMode: readText(answer, "runMode"),
  };
}

/** Fault wire_invalid for what is no list of packages. */
export function parseDeployments(text: string): readonly Deployment[] {
  const answer = parseAnswer("ListPackages", text);
  return readList("ListPackages", answer, "packages").map((entry) => ({
    name: readText(entry, "name"),
    version: readText(entry, "version"),
    status: readEnum(entry, "status"),
    flavor: readText(entry, "flavor"),
    namespaceOverride: readText(entry, "namespaceOverride"),
    annotations: readTexts(entry, "annotations"),
  }));
}

/** Fault wire_invalid for what is no list of registries, or holds too many tags. */
export function parsePulledPackages(text: string): readonly PulledPackage[] {
  const call = "ListPulledPackages";
  const pulled: PulledPackage[] = [];
  for (const registry of readList(call, parseAnswer(call, text), "registries")) {
    for (const entry of readList(call, registry, "packages")) {
      for (const tag of readList(call, entry, "tags")) {
        if (pulled.length === ENTRIES_MAX) throw invalid(call, `has more than ${ENTRIES_MAX} tags`);
        pulled.push(readTag(registry, entry, tag));
      }
    }
  }
  return pulled;
}

function readTag(registry: JsonObject, entry: JsonObject, tag: JsonObject): PulledPackage {
  const pullInfo = field(tag, "pullInfo");
  return {
    registry: readText(registry, "host"),
    packageName: readText(entry, "packageName"),
    reference: readText(tag, "reference"),
    arch: readText(tag, "arch"),
    version: readText(tag, "version"),
    totalBytes: readCount(tag, "totalBytes"),
    pullStatus: isObject(pullInfo) ? readEnum(pullInfo, "status") : null,
  };
}
