// A backup made: the database copied, made whole and looked at; then written with what else belongs to it, and read
// again before anybody is told that it is there.
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toHex } from "../base/bytes.ts";
import { Fault, systemCode } from "../base/faults.ts";
import { type CopyFacts, examineCopy, lockDatabase } from "../store/database-copy.ts";
import type { SealOptions } from "../store/seal.ts";
import { copyDatabaseFiles } from "./copy.ts";
import { checkRoom, contentOf, createFile, moveInto, toFileFault, writeAll } from "./files.ts";
import { type BackupFile, DATABASE_FILE, FILES_MAX, type Manifest } from "./manifest.ts";
import { readBackup } from "./reader.ts";
import type { Scratch } from "./scratch.ts";
import { archiveBytes } from "./tar-layout.ts";
import { writeBackup } from "./writer.ts";

/** What is being done, and how far: bytes, or documents where they are looked at. */
export type Stage = "copy" | "check" | "write" | "verify";
export type Progress = (stage: Stage, done: number, of: number) => void;

/** A node that holds its database still. */
export interface Hold {
  /** Of the node's database, absolute. */
  readonly databasePath: string;
  readonly storeId: string;
  /** Resolves when the file was held still all the time. Fault `conflict` if it was not. */
  end(): Promise<void>;
}

export interface MakeOptions {
  /** Undefined: no node runs, and the database's own lock holds it still. */
  readonly hold: Hold | undefined;
  readonly databasePath: string;
  readonly scratch: Scratch;
  readonly about: Pick<Manifest, "program" | "node" | "formation">;
  readonly encryption: SealOptions;
  readonly hasAttachments: boolean;
  /** Documents that the disk has damaged are taken along, and not a fault. */
  readonly takesDamaged: boolean;
  readonly signal: AbortSignal;
  readonly onProgress?: Progress | undefined;
}

/** What was copied, and is ready to be written. */
export interface Prepared {
  readonly manifest: Manifest;
  readonly damagedKeys: readonly string[];
  /** Of each file of the manifest. */
  readonly pathOf: (file: BackupFile) => string;
}

/** Returns when what was committed is in the copy: ms since the Unix epoch. */
async function copy(options: MakeOptions, to: string): Promise<number> {
  const { hold, databasePath, scratch, signal, onProgress } = options;
  const { size } = await stat(databasePath).catch((error: unknown) => {
    throw toFileFault(error, databasePath);
  });
  // Once as a copy, once, at worst, as a backup.
  await checkRoom(scratch.path, 2 * size);
  const unlock = hold === undefined ? lockDatabase(databasePath) : () => undefined;
  try {
    const progress = (done: number) => onProgress?.("copy", done, size);
    await using copied = await copyDatabaseFiles({
      from: databasePath,
      to,
      signal,
      onProgress: progress,
    });
    await hold?.end();
    unlock();
    return copied.asOfMs;
  } catch (error) {
    unlock();
    throw error;
  }
}

function checkFacts(facts: CopyFacts, { hold, databasePath, takesDamaged }: MakeOptions): void {
  if (hold !== undefined && hold.storeId !== facts.storeId) {
    const sentence = `${databasePath} here is not the database of the node that was asked; run the command where the node runs`;
    throw new Fault("storage_unusable", sentence);
  }
  if (facts.damaged === 0 || takesDamaged) return;
  const [first = ""] = facts.damagedKeys;
  throw new Fault(
    "storage_unusable",
    `${facts.damaged} documents are damaged on this disk, the first is ${JSON.stringify(first)}; the node fetches one from a peer when it is read; try again then, or take them along with --damaged`,
  );
}

/** Of a file that does not change; undefined when it has gone. */
async function sumOf(path: string, signal: AbortSignal): Promise<Omit<BackupFile, "name">> {
  const hasher = new Bun.CryptoHasher("sha256");
  await using file = await open(path, "r");
  let bytes = 0;
  for await (const piece of contentOf(file, signal)) {
    hasher.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: toHex(hasher.digest()) };
}

/** Copies of files that this node sends: whole ones only, which never change. */
async function attachmentsOf(folder: string, signal: AbortSignal): Promise<BackupFile[]> {
  const names = await readdir(folder).catch(() => []);
  const whole = names.filter((name) => /^[0-9a-f]{64}(?:\.tree)?$/.test(name)).sort();
  if (whole.length >= FILES_MAX) {
    const sentence = `${folder} has more than ${FILES_MAX} files; leave them out with --no-attachments`;
    throw new Fault("payload_too_large", sentence);
  }
  const files: BackupFile[] = [];
  for (const name of whole) {
    try {
      const sum = await sumOf(join(folder, name), signal);
      files.push({ name: `attachments/${name}`, ...sum });
    } catch (error) {
      // Nobody waits for it any more.
      if (systemCode(error) !== "ENOENT") throw toFileFault(error, join(folder, name));
    }
  }
  return files;
}

/**
 * Copies the database and looks at all of it. Faults: storage_locked (no `hold`, and a node has it), storage_*,
 * settings_invalid, conflict (the hold was lost); the reason of `signal`.
 */
export async function prepareBackup(options: MakeOptions): Promise<Prepared> {
  const { scratch, databasePath, signal, onProgress } = options;
  const copied = scratch.file("peat.db");
  const madeAtMs = await copy(options, copied);
  const facts = await examineCopy(copied, {
    keys: "optional",
    encryption: options.encryption,
    signal,
    onProgress: (done, of) => onProgress?.("check", done, of),
  });
  checkFacts(facts, options);
  const { damagedKeys, ...told } = facts;
  const dataDir = dirname(dirname(databasePath));
  const folder = join(dataDir, "attachments");
  const files = [
    { name: DATABASE_FILE, ...(await sumOf(copied, signal)) },
    ...(options.hasAttachments ? await attachmentsOf(folder, signal) : []),
  ];
  const manifest = { ...options.about, ...told, madeAtMs, files };
  const pathOf = ({ name }: BackupFile) => (name === DATABASE_FILE ? copied : join(dataDir, name));
  return { manifest, damagedKeys, pathOf };
}

/** One file's content, as long as the manifest says: a file of another length is no longer what it was. */
async function* exactly(path: string, { bytes }: BackupFile, signal: AbortSignal) {
  await using file = await open(path, "r");
  let left = bytes;
  for await (const piece of contentOf(file, signal)) {
    left -= piece.length;
    if (left < 0) break;
    yield piece;
  }
  if (left !== 0) throw new Fault("conflict", `${path} was changed meanwhile; try again`);
}

export interface WriteTarget {
  readonly prepared: Prepared;
  readonly signal: AbortSignal;
  readonly onProgress?: Progress | undefined;
}

/** Gives the whole backup to `sink`. */
export async function writePrepared(
  { prepared, signal, onProgress }: WriteTarget,
  sink: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const { manifest, pathOf } = prepared;
  const of = archiveBytes(manifest);
  await writeBackup({
    manifest,
    contentOf: (file) => exactly(pathOf(file), file, signal),
    sink,
    onProgress: (done) => onProgress?.("write", done, of),
  });
}

const ignore = async (): Promise<void> => undefined;

/** Reads what was written: it is whole, and its content the one that was looked at. */
async function verifyWritten(path: string, { prepared, signal, onProgress }: WriteTarget) {
  const of = archiveBytes(prepared.manifest);
  await using file = await open(path, "r");
  await readBackup({
    source: contentOf(file, signal),
    onManifest: async () => undefined,
    open: async () => ({ write: ignore, end: ignore, [Symbol.asyncDispose]: ignore }),
    onProgress: (done) => onProgress?.("verify", done, of),
  });
}

/** The backup as the file `path`: there whole, durable and read once, or not at all. Returns its length. */
export async function writeBackupFile(
  target: WriteTarget,
  { path, scratch }: { path: string; scratch: Scratch },
): Promise<number> {
  const partial = scratch.file("backup");
  try {
    const file: FileHandle = await createFile(partial);
    try {
      await writePrepared(target, (bytes) => writeAll(file, bytes));
      await file.sync();
    } finally {
      await file.close();
    }
    await verifyWritten(partial, target);
    const { size } = await stat(partial);
    await moveInto(partial, path);
    return size;
  } catch (error) {
    throw target.signal.aborted ? target.signal.reason : toFileFault(error, path);
  }
}
