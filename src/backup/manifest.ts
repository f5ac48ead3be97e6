// What a backup says of itself, before anything else: JSON, of which only what is checked here is believed.

import { Fault } from "../base/faults.ts";
import { type Fields, fieldsOf } from "../base/fields.ts";

/** The database's name in a backup, and below a data directory. */
export const DATABASE_FILE = "automerge/peat.db";
/** Copies of files that this node sends, beside their hashes: below a data directory, too. */
const ATTACHMENT_FILE = /^attachments\/[0-9a-f]{64}(?:\.tree)?$/;

export const FILES_MAX = 100_000;

/** One file in a backup. */
export interface BackupFile {
  /** Below the data directory; one of the names that this program uses. */
  readonly name: string;
  readonly bytes: number;
  /** SHA-256, 64 hex digits. */
  readonly sha256: string;
}

export interface Manifest {
  /** Version of the program that made it. */
  readonly program: string;
  /** Ms since the Unix epoch: everything that was acknowledged before is in it. */
  readonly madeAtMs: number;
  /** Name of the node; undefined where nobody knew it. */
  readonly node: string | undefined;
  /** Tag of the secret that was the node's identity; undefined where nobody knew it. */
  readonly formation: string | undefined;
  readonly storeId: string;
  readonly schema: number;
  readonly documents: number;
  readonly tombstones: number;
  /** Ids of the keys by which documents in it are sealed; none: they lie in the clear. */
  readonly keys: readonly string[];
  /** How far each document was looked at when it was made. */
  readonly checked: "hashes" | "checksums";
  /** Documents that the disk had damaged, and that are in it as they were. */
  readonly damaged: number;
  /** The database first. */
  readonly files: readonly BackupFile[];
}

/** What is told of a backup, without its files. */
export function viewManifest(manifest: Manifest) {
  return {
    program: manifest.program,
    made_at_ms: manifest.madeAtMs,
    node: manifest.node ?? null,
    formation: manifest.formation ?? null,
    store_id: manifest.storeId,
    schema: manifest.schema,
    documents: manifest.documents,
    tombstones: manifest.tombstones,
    keys: manifest.keys,
    checked: manifest.checked,
    damaged: manifest.damaged,
  };
}

export function printManifest(manifest: Manifest): string {
  return JSON.stringify({ ...viewManifest(manifest), files: manifest.files }, undefined, 1);
}

export function unusable(told: string, cause?: unknown): Fault {
  const sentence = `the backup can't be used: ${told}; take another one`;
  return new Fault("backup_unusable", sentence, {}, cause);
}

function readCount(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw unusable(`${name} in its manifest is no count`);
}

function readText(fields: Fields, name: string, form: RegExp): string {
  const value = fields[name];
  if (typeof value === "string" && form.test(value)) return value;
  throw unusable(`${name} in its manifest is not as expected`);
}

function readOptional(fields: Fields, name: string, form: RegExp): string | undefined {
  return fields[name] === null ? undefined : readText(fields, name, form);
}

function readList(fields: Fields, name: string, lengthMax: number): readonly unknown[] {
  const value = fields[name];
  if (Array.isArray(value) && value.length <= lengthMax) return value;
  throw unusable(`${name} in its manifest is no list, or too long`);
}

function readFile(value: unknown): BackupFile {
  const fields = fieldsOf(value);
  return {
    name: readText(fields, "name", /^/),
    bytes: readCount(fields, "bytes"),
    sha256: readText(fields, "sha256", /^[0-9a-f]{64}$/),
  };
}

/** Names are paths that are written to: none but those that this program uses itself, each once. */
function checkNames(files: readonly BackupFile[]): void {
  const [database, ...others] = files.map(({ name }) => name);
  const stray = others.find((name) => !ATTACHMENT_FILE.test(name));
  if (database !== DATABASE_FILE) throw unusable("its first file is not the database");
  if (stray !== undefined) throw unusable(`it has a file ${JSON.stringify(stray.slice(0, 200))}`);
  if (new Set(others).size < others.length) throw unusable("it has two files of one name");
}

/** Fault `backup_unusable` for a text that printManifest did not make. */
export function parseManifest(text: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw unusable("its manifest is not JSON", cause);
  }
  const fields = fieldsOf(parsed);
  const files = readList(fields, "files", FILES_MAX).map(readFile);
  checkNames(files);
  const keys = readList(fields, "keys", 1000).map((value) =>
    readText({ keys: value }, "keys", /^[0-9a-f]{16}$/),
  );
  return {
    program: readText(fields, "program", /^[ -~]{1,100}$/),
    madeAtMs: readCount(fields, "made_at_ms"),
    node: readOptional(fields, "node", /^[A-Za-z0-9._-]{1,253}$/),
    formation: readOptional(fields, "formation", /^[0-9a-f]{8}$/),
    storeId: readText(fields, "store_id", /^[0-9a-f]{16}$/),
    schema: readCount(fields, "schema"),
    documents: readCount(fields, "documents"),
    tombstones: readCount(fields, "tombstones"),
    keys,
    checked: fields["checked"] === "hashes" ? "hashes" : "checksums",
    damaged: readCount(fields, "damaged"),
    files,
  };
}
