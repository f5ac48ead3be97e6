// `backup`: all documents of the node on this machine as one file, while it runs or not; or such a file looked at.
import { open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checkTarget, contentOf, toFileFault } from "../backup/files.ts";
import type { MakeOptions, Prepared, Stage } from "../backup/make.ts";
import { DATABASE_FILE, type Manifest, viewManifest } from "../backup/manifest.ts";
import { Scratch } from "../backup/scratch.ts";
import { Fault } from "../base/faults.ts";
import { buildInfo } from "../build-info.ts";
import { pickSettings } from "../config/load.ts";
import type { Config } from "../config/settings.ts";
import { secretTag } from "../identity/keypair.ts";
import type { OptionRow } from "./arguments.ts";
import { BROKER_SETTING_NAMES } from "./broker-client.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { type Context, EXIT } from "./context.ts";
import { holdDatabase, type NodeHold } from "./database-hold.ts";
import { interruption } from "./interruption.ts";
import { NodeClient, TIMEOUT_OPTION } from "./node-call.ts";
import { Progress } from "./progress.ts";
import { printBytes, printCount } from "./quantities.ts";
import { standardInput, writeStandardOutput } from "./standard-bytes.ts";
import { safeText } from "./terminal-text.ts";

export const SETTING_NAMES = [
  ...BROKER_SETTING_NAMES,
  "dataDir",
  "nodeName",
  "encryptionKey",
  "encryptionKeysPrevious",
] as const;

export type BackupSettings = Pick<Config, (typeof SETTING_NAMES)[number]>;

const KEEP_OPTION: OptionRow = {
  name: "keep",
  value: "COUNT",
  help: "Into a directory: remove older backups of this node there, beyond so many.",
};
const FORCE_OPTION: OptionRow = { name: "force", help: "Replace FILE if it is there." };
const VERIFY_OPTION: OptionRow = {
  name: "verify",
  help: "Make none; look at one: sums, the database unpacked, every document.",
};
const NO_ATTACHMENTS_OPTION: OptionRow = {
  name: "no-attachments",
  help: "Leave out copies of files that this node sends to others.",
};
const DAMAGED_OPTION: OptionRow = {
  name: "damaged",
  help: "Take documents along that the disk has damaged, as they are.",
};
const TEMP_OPTION: OptionRow = {
  name: "temp-dir",
  value: "DIRECTORY",
  help: "Where the copy is looked at; as much room as the database has. The place of FILE unless given.",
};
const JSON_OPTION: OptionRow = { name: "json", help: "Tell what was made as JSON." };

const LABELS: Readonly<Record<Stage | "unpack", string>> = {
  copy: "Copying",
  check: "Checking",
  write: "Writing",
  verify: "Verifying",
  unpack: "Unpacking",
};

const ENDING = ".peat-backup";

/** One bar for each stage, one after the other. */
export class Stages implements Disposable {
  readonly #context: Context;
  #stage: string | undefined;
  #progress: Progress | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  readonly tell = (stage: Stage | "unpack", done: number, of: number): void => {
    if (stage !== this.#stage) {
      this.#progress?.end();
      this.#stage = stage;
      const unit = stage === "check" ? "count" : "bytes";
      this.#progress = new Progress(this.#context, { label: LABELS[stage], unit });
    }
    this.#progress?.tell(done, of);
  };

  [Symbol.dispose](): void {
    this.#progress?.end();
  }
}

export function encryptionOf({ encryptionKey, encryptionKeysPrevious }: BackupSettings) {
  const key = encryptionKey === "off" ? undefined : encryptionKey;
  return { key, previous: encryptionKeysPrevious };
}

export function sayManifest({ node, documents, tombstones, keys, files }: Manifest): string {
  const parts = [
    printCount(documents, "document"),
    `${tombstones} deleted`,
    ...(files.length > 1 ? [printCount(files.length - 1, "attachment file")] : []),
    ...(node === undefined ? [] : [`of ${node}`]),
    ...(keys.length === 0 ? [] : [`encrypted by key ${keys.join(" and ")}`]),
  ];
  return parts.join(", ");
}

/** Where the backup goes: a file, one named by node and time in a directory, or standard output. */
interface Destination {
  readonly path: string | undefined;
  /** For what is not done yet. */
  readonly workDir: string;
  readonly isInDirectory: boolean;
}

async function destinationOf(call: Call, nodeName: string): Promise<Destination> {
  const [word = ""] = call.words;
  const temp = call.options.get(TEMP_OPTION.name);
  if (word === "-") return { path: undefined, workDir: temp ?? tmpdir(), isInDirectory: false };
  const status = await stat(word).catch(() => undefined);
  if (status?.isDirectory() === true) {
    const at = new Date()
      .toISOString()
      .replace(/\.\d+Z$/, "Z")
      .replaceAll(":", "-");
    return { path: join(word, `${nodeName}-${at}${ENDING}`), workDir: word, isInDirectory: true };
  }
  // A device would be replaced by a file of its name.
  if (status?.isFile() === false) {
    throw new Fault("invalid_argument", `${word} is no regular file; - is standard output`);
  }
  await checkTarget(word, { force: call.options.has(FORCE_OPTION.name) });
  return { path: word, workDir: dirname(word), isInDirectory: false };
}

function readKeep(call: Call): number | undefined {
  const text = call.options.get(KEEP_OPTION.name);
  if (text === undefined) return undefined;
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text);
  throw new Fault("invalid_argument", "--keep must be a whole number, at least 1");
}

/** Only files of the form that this command names by itself, of this node. */
async function removeOlder(path: string, nodeName: string, keep: number): Promise<string[]> {
  const folder = dirname(path);
  const stamp = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/;
  const own = (await readdir(folder)).filter((name) => {
    const isOurs = name.startsWith(`${nodeName}-`) && name.endsWith(ENDING);
    return isOurs && stamp.test(name.slice(nodeName.length + 1, -ENDING.length));
  });
  const older = own.sort().slice(0, -keep);
  for (const name of older) await rm(join(folder, name));
  return older;
}

function aboutOf(call: Call, settings: BackupSettings, hold: NodeHold | undefined) {
  const secret = call.settings().values.formationSecret;
  return {
    program: buildInfo.version,
    node: hold?.nodeName ?? settings.nodeName,
    formation: hold?.formation ?? (secret === undefined ? undefined : secretTag(secret)),
  };
}

/** A database that is locked though no node answers: both are told. */
async function prepare(options: MakeOptions, unanswered: Fault | undefined): Promise<Prepared> {
  // The store, and Automerge with it, are loaded by whoever opens a database, and by no other command.
  const { prepareBackup } = await import("../backup/make.ts");
  try {
    return await prepareBackup(options);
  } catch (error) {
    const isLocked = error instanceof Fault && error.code === "storage_locked";
    if (!isLocked || unanswered === undefined) throw error;
    const sentence = `${options.databasePath} is in use by a node that can't be asked: ${unanswered.message}`;
    throw new Fault("storage_locked", sentence, {}, error);
  }
}

function tellMade(call: Call, prepared: Prepared, made: { path?: string; bytes: number }): void {
  const { context, options } = call;
  const { manifest, damagedKeys } = prepared;
  const output = made.path === undefined ? context.stderr : context.stdout;
  for (const key of damagedKeys) {
    context.stderr.write(`${context.program}: damaged, and in it as it is: ${safeText(key)}\n`);
  }
  if (options.has(JSON_OPTION.name)) {
    const told = { file: made.path ?? null, bytes: made.bytes, ...viewManifest(manifest) };
    output.write(`${JSON.stringify(told)}\n`);
    return;
  }
  const name = made.path ?? "backup";
  const isSeen = manifest.checked === "hashes" ? "every document verified" : "sums verified";
  output.write(`${name}: ${printBytes(made.bytes)}, ${sayManifest(manifest)}; ${isSeen}\n`);
}

async function make(call: Call, settings: BackupSettings): Promise<number> {
  const { context, options } = call;
  const keep = readKeep(call);
  const signal = interruption(context, { outcome: "no backup was made" });
  using node = await NodeClient.open(call, settings);
  const answer = await holdDatabase(node);
  await using hold = answer instanceof Fault ? undefined : answer;
  const about = aboutOf(call, settings, hold);
  const destination = await destinationOf(call, about.node);
  if (keep !== undefined && !destination.isInDirectory) {
    throw new Fault(
      "invalid_argument",
      "--keep needs a directory that is there; make it first, with mode 0700",
    );
  }
  await using scratch = await Scratch.open(options.get(TEMP_OPTION.name) ?? destination.workDir);
  using stages = new Stages(context);
  const prepared = await prepare(
    {
      hold,
      databasePath: hold?.databasePath ?? join(settings.dataDir, DATABASE_FILE),
      scratch,
      about,
      encryption: encryptionOf(settings),
      hasAttachments: !options.has(NO_ATTACHMENTS_OPTION.name),
      takesDamaged: options.has(DAMAGED_OPTION.name),
      signal,
      onProgress: stages.tell,
    },
    answer instanceof Fault ? answer : undefined,
  );
  const { writeBackupFile, writePrepared } = await import("../backup/make.ts");
  const target = { prepared, signal, onProgress: stages.tell };
  const { path } = destination;
  if (path === undefined) {
    let bytes = 0;
    await writePrepared(target, async (piece) => {
      bytes += piece.length;
      await writeStandardOutput(piece);
    });
    stages[Symbol.dispose]();
    tellMade(call, prepared, { bytes });
    return EXIT.ok;
  }
  const out = await Scratch.open(destination.workDir);
  await using _ = out;
  const bytes = await writeBackupFile(target, { path, scratch: out });
  stages[Symbol.dispose]();
  tellMade(call, prepared, { path, bytes });
  if (keep === undefined) return EXIT.ok;
  for (const name of await removeOlder(path, about.node, keep)) {
    context.stdout.write(`removed ${name}\n`);
  }
  return EXIT.ok;
}

async function verify(call: Call, settings: BackupSettings): Promise<number> {
  const { context, words, options } = call;
  const [word = ""] = words;
  const signal = interruption(context, { outcome: "nothing was changed" });
  const temp = options.get(TEMP_OPTION.name) ?? (word === "-" ? tmpdir() : dirname(word));
  await using scratch = await Scratch.open(temp);
  using stages = new Stages(context);
  await using source = await openSource(word, signal);
  const { unpackBackup } = await import("../backup/restore.ts");
  const { manifest, facts } = await unpackBackup({
    source: source.bytes,
    scratch,
    keys: "optional",
    encryption: encryptionOf(settings),
    signal,
    onProgress: stages.tell,
  });
  stages[Symbol.dispose]();
  const how =
    facts.checked === "hashes"
      ? "every document has its hash"
      : "every row has its checksum; set PEAT_ENCRYPTION_KEY to look at the documents, too";
  const at = new Date(manifest.madeAtMs).toISOString();
  if (options.has(JSON_OPTION.name)) {
    const told = { file: word, ...viewManifest(manifest), checked: facts.checked };
    context.stdout.write(`${JSON.stringify(told)}\n`);
  } else context.stdout.write(`${word}: good; made ${at}; ${sayManifest(manifest)}; ${how}\n`);
  return EXIT.ok;
}

/** A backup's bytes: of a file, or of standard input for `-`. Faults: storage_*. */
export async function openSource(word: string, signal: AbortSignal) {
  if (word === "-") {
    return { bytes: standardInput(), [Symbol.asyncDispose]: async () => undefined };
  }
  const file = await open(word, "r").catch((error: unknown) => {
    throw toFileFault(error, word);
  });
  return { bytes: contentOf(file, signal), [Symbol.asyncDispose]: () => file.close() };
}

export const backupCommand: Command = {
  name: "backup",
  sentence:
    "Write all documents of the node on this machine into one verified file; running or not.",
  usage: "FILE|DIRECTORY|- [--keep COUNT] [--verify] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [
    KEEP_OPTION,
    FORCE_OPTION,
    VERIFY_OPTION,
    NO_ATTACHMENTS_OPTION,
    DAMAGED_OPTION,
    TEMP_OPTION,
    JSON_OPTION,
    TIMEOUT_OPTION,
  ],
  takesSettings: true,
  examples: [
    "backup /var/backups/peat --keep 7",
    "backup node-a.peat-backup",
    "backup --verify node-a.peat-backup",
    "backup - > node-a.peat-backup",
  ],
  run(call) {
    const picked = pickSettings(call.settings(), SETTING_NAMES);
    if (!picked.ok) return Promise.resolve(refuse(call.context, picked));
    const isVerify = call.options.has(VERIFY_OPTION.name);
    return isVerify ? verify(call, picked.settings) : make(call, picked.settings);
  },
};
