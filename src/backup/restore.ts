// A backup put in place: unpacked and looked at beside the data directory's content first; then moved in by renaming,
// after what was there has been moved aside. A kill between the two leaves the old one aside and nothing lost.
import { chmod, lchown, lstat, mkdir, readdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault, systemCode } from "../base/faults.ts";
import { type CopyFacts, examineCopy, lockDatabase, renameStore } from "../store/database-copy.ts";
import { Seal, type SealOptions } from "../store/seal.ts";
import { checkRoom, createFile, syncFolder, toFileFault, writeAll } from "./files.ts";
import { DATABASE_FILE, type Manifest, unusable } from "./manifest.ts";
import { type ContentSink, readBackup } from "./reader.ts";
import type { Scratch } from "./scratch.ts";
import { archiveBytes } from "./tar-layout.ts";

/** What is being done, and how far: bytes, or documents where they are looked at. */
export type UnpackProgress = (stage: "unpack" | "check", done: number, of: number) => void;

export interface UnpackOptions {
  readonly source: AsyncIterable<Uint8Array>;
  readonly scratch: Scratch;
  /** `required`: without the keys of its documents the backup is of no use here. */
  readonly keys: "required" | "optional";
  readonly encryption: SealOptions;
  readonly signal: AbortSignal;
  readonly onProgress?: UnpackProgress | undefined;
}

export interface Unpacked {
  readonly manifest: Manifest;
  readonly facts: CopyFacts;
}

/** Folders of a data directory that a backup may hold. */
const FOLDERS = [dirname(DATABASE_FILE), "attachments"] as const;
const FOLDER_MODE = 0o700;

async function sinkAt(path: string): Promise<ContentSink> {
  const file = await createFile(path);
  return {
    write: (bytes) => writeAll(file, bytes),
    end: () => file.sync(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

function checkKeys({ keys }: Manifest, encryption: SealOptions): void {
  const given = new Seal(encryption).keyIds;
  const missing = keys.filter((id) => !given.includes(id));
  if (missing.length === 0) return;
  throw new Fault(
    "settings_invalid",
    `documents in the backup are encrypted by key ${missing.join(" and ")}; set PEAT_ENCRYPTION_KEY, or PEAT_ENCRYPTION_KEY_PREVIOUS, to it`,
  );
}

function checkFacts(facts: CopyFacts, manifest: Manifest): void {
  const names = ["storeId", "documents", "tombstones"] as const;
  const wrong = names.find((name) => facts[name] !== manifest[name]);
  if (wrong !== undefined) throw unusable(`its database has another ${wrong} than its manifest`);
  if (facts.damaged > manifest.damaged) {
    const [first = ""] = facts.damagedKeys;
    const told = `${facts.damaged} documents in it are damaged, the first is ${JSON.stringify(first)}`;
    throw unusable(told);
  }
}

/**
 * Unpacks a backup into the scratch folder, under the names of its files, and looks at everything in it. Faults:
 * backup_unusable, settings_invalid for a missing key, storage_*; the reason of `signal`.
 */
export async function unpackBackup(options: UnpackOptions): Promise<Unpacked> {
  const { source, scratch, encryption, signal, onProgress } = options;
  let of = 0;
  try {
    for (const folder of FOLDERS) await mkdir(scratch.file(folder), { mode: FOLDER_MODE });
    const manifest = await readBackup({
      source,
      onManifest: async (told) => {
        if (options.keys === "required") checkKeys(told, encryption);
        of = archiveBytes(told);
        await checkRoom(scratch.path, of);
      },
      // Names were checked: they are some of ours.
      open: (file) => sinkAt(scratch.file(file.name)),
      onProgress: (done) => {
        signal.throwIfAborted();
        onProgress?.("unpack", done, of);
      },
    });
    const facts = await examineCopy(scratch.file(DATABASE_FILE), {
      keys: options.keys,
      encryption,
      signal,
      onProgress: (done, rows) => onProgress?.("check", done, rows),
    });
    checkFacts(facts, manifest);
    return { manifest, facts };
  } catch (error) {
    throw signal.aborted ? signal.reason : toFileFault(error, scratch.path);
  }
}

async function isFilled(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw toFileFault(error, path);
  }
}

/** What was found where a backup is to go, and stays so for as long as it is locked. */
export interface Claim {
  readonly dataDir: string;
  readonly force: boolean;
  /** Undefined where there was no database that could be locked. */
  readonly unlock: (() => void) | undefined;
}

/**
 * Refuses a data directory that is not free, unless `force`, and one that a node has open. What is there is locked
 * then. Faults: already_exists, storage_locked, storage_unusable.
 */
export async function claimPlace(dataDir: string, { force }: { force: boolean }): Promise<Claim> {
  const path = join(dataDir, DATABASE_FILE);
  const isThere = (await stat(path).catch(() => undefined))?.isFile() === true;
  // A running node is the first thing to be told.
  const unlock = isThere ? lockUnlessDamaged(path, { force }) : undefined;
  for (const folder of FOLDERS) {
    if (force || !(await isFilled(join(dataDir, folder)))) continue;
    unlock?.();
    throw new Fault(
      "already_exists",
      `${join(dataDir, folder)} is not empty; with --force it is moved aside, and not deleted`,
    );
  }
  return { dataDir, force, unlock };
}

/** What is to be replaced may be damaged: that is why it is. */
function lockUnlessDamaged(path: string, { force }: { force: boolean }): (() => void) | undefined {
  try {
    return lockDatabase(path);
  } catch (error) {
    const isRunning = error instanceof Fault && error.code === "storage_locked";
    if (isRunning) {
      throw new Fault("storage_locked", `a node runs on ${path}; stop it first`, {}, error);
    }
    if (force) return undefined;
    throw error;
  }
}

/** Whoever owns the data directory owns what is in it. */
async function giveTo(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  // Never through a link: the owner of the data directory may not be the one who gives.
  const status = await lstat(path);
  if (status.uid !== uid || status.gid !== gid) await lchown(path, uid, gid);
  if (!status.isDirectory()) return;
  for (const name of await readdir(path)) await giveTo(join(path, name), { uid, gid });
  await chmod(path, FOLDER_MODE);
  await syncFolder(path);
}

export interface PlaceOptions {
  readonly claim: Claim;
  readonly scratch: Scratch;
  readonly manifest: Manifest;
  readonly nowMs: number;
}

/**
 * Moves what was unpacked to where a node finds it; returns where to what was there has been moved. Faults: those of
 * claimPlace(), storage_*.
 */
export async function placeUnpacked(options: PlaceOptions): Promise<string[]> {
  const { scratch, manifest, nowMs } = options;
  const { dataDir, force } = options.claim;
  // Where nothing was locked, a node may have begun meanwhile.
  const unlock = options.claim.unlock ?? (await claimPlace(dataDir, { force })).unlock;
  const stamp = new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-");
  const hasAttachments = manifest.files.length > 1;
  const folders = hasAttachments ? FOLDERS : FOLDERS.slice(0, 1);
  const aside: string[] = [];
  try {
    renameStore(scratch.file(DATABASE_FILE));
    const owner = await stat(dataDir);
    for (const folder of folders) {
      await giveTo(scratch.file(folder), owner);
      const place = join(dataDir, folder);
      if (!(await isFilled(place))) continue;
      await rename(place, `${place}.before-${stamp}`);
      aside.push(`${place}.before-${stamp}`);
    }
    // Not later: closing looks for a log under the old name.
    unlock?.();
    // The database last: where it is, the rest is too.
    for (const folder of folders.toReversed()) {
      await rename(scratch.file(folder), join(dataDir, folder));
    }
    await syncFolder(dataDir);
    return aside;
  } catch (error) {
    unlock?.();
    const where = aside.length > 0 ? `; what was there is now ${aside.join(" and ")}` : "";
    const fault = toFileFault(error, dataDir);
    throw new Fault(fault.code, `${fault.message}${where}`, {}, error);
  }
}
