// `import`: documents from a file into the node, by its API; broken off, it goes on where it was.
import { existsSync } from "node:fs";
import { appendFile, open } from "node:fs/promises";
import { dirname } from "node:path";
import { contentOf, toFileFault } from "../backup/files.ts";
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { fileProblem } from "../config/host.ts";
import { parseCollection } from "../store/document-key.ts";
import { type FieldPath, parseFieldPath } from "../store/field-path.ts";
import type { OptionRow } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { interruption } from "./interruption.ts";
import { withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient, URL_OPTION } from "./node-call.ts";
import { Progress } from "./progress.ts";
import { printCount } from "./quantities.ts";
import { standardInput } from "./standard-bytes.ts";
import { safeText } from "./terminal-text.ts";
import { ID_COLUMN } from "./transfer/csv-cells.ts";
import { type CsvOptions, csvRecords } from "./transfer/csv-records.ts";
import { FORMAT_OPTION, readFormat } from "./transfer/format-option.ts";
import {
  BEGINNING,
  type ImportMark,
  type Place,
  readPlace,
  removePlace,
  writePlace,
} from "./transfer/import-place.ts";
import { Importer, type Rejection } from "./transfer/importer.ts";
import { lineRecords, valueRecords } from "./transfer/json-records.ts";
import { checkedBytes, type FileRecord, type Format } from "./transfer/records.ts";

const COLLECTION_OPTION: OptionRow = {
  name: "collection",
  value: "NAME",
  help: "Where all documents go; without it each names its own in the field _collection.",
};
const ID_OPTION: OptionRow = {
  name: "id-field",
  value: "PATH",
  help: "The field that is the document's id; _id unless given. Another one stays in the document.",
};
const PATCH_OPTION: OptionRow = {
  name: "patch",
  help: "Merge into what is there (RFC 7386), in place of replacing it.",
};
const DRY_OPTION: OptionRow = {
  name: "dry-run",
  help: "Read and check everything, write nothing.",
};
const STOP_OPTION: OptionRow = {
  name: "stop-on-error",
  help: "End at the first document that can't be written; without it they are told and left out.",
};
const REJECTS_OPTION: OptionRow = {
  name: "rejects",
  value: "FILE",
  help: "Where documents go that can't be written, a line of JSON each; FILE.rejects unless given.",
};
const PROGRESS_OPTION: OptionRow = {
  name: "progress",
  value: "FILE",
  help: "Where is kept how far it has come; FILE.progress unless given, and for standard input only if given.",
};
const TEXT_OPTION: OptionRow = {
  name: "text",
  help: "CSV: every cell is a text; without it 5, true, null and other JSON are what they look like.",
};
const DELIMITER_OPTION: OptionRow = {
  name: "delimiter",
  value: "CHARACTER",
  help: "CSV: what stands between cells; a comma unless given, \\t is a tabulator.",
};

const HEAD_BYTES = 64 * 1024;
const SAVE_EVERY_MS = 1000;
const TOLD_MAX = 10;
const TEXT_CHARS_MAX = 64 * 1024;

interface Source {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** What tells one file from another; nothing of standard input. */
  readonly mark: ImportMark;
  readonly size: number | undefined;
}

async function openInput(path: string, signal: AbortSignal): Promise<Source & AsyncDisposable> {
  if (path === "-") {
    const dispose = async () => undefined;
    return {
      bytes: standardInput(),
      mark: {},
      size: undefined,
      [Symbol.asyncDispose]: dispose,
    };
  }
  const file = await open(path, "r").catch((error: unknown) => {
    const problem = fileProblem(path, error);
    throw new Fault("invalid_argument", problem, {}, error);
  });
  try {
    const status = await file.stat();
    if (status.isDirectory()) throw new Fault("invalid_argument", `${path} is a directory`);
    const { size, mtimeMs } = status;
    const head = Buffer.alloc(Math.min(HEAD_BYTES, size));
    await file.read(head, 0, head.length, 0);
    const sum = new Bun.CryptoHasher("sha256").update(head).digest("hex");
    return {
      bytes: contentOf(file, signal),
      mark: { bytes: size, head: sum, changedAtMs: mtimeMs },
      size,
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw toFileFault(error, path);
  }
}

/** The same bytes; `tell` hears how many went through. */
async function* counted(source: AsyncIterable<Uint8Array>, tell: (bytes: number) => void) {
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    yield piece;
    tell(bytes);
  }
}

function readDelimiter(text = ","): string {
  const delimiter = text === "\\t" ? "\t" : text;
  if (delimiter.length === 1 && !/["\r\n]/.test(delimiter)) return delimiter;
  throw new Fault("invalid_argument", "--delimiter must be one character, such as ; or \\t");
}

function recordsOf(
  { format, csv }: Wish,
  bytes: AsyncIterable<Uint8Array>,
): AsyncIterable<FileRecord> {
  const checked = checkedBytes(bytes);
  if (format === "ndjson") return lineRecords(checked);
  return format === "json" ? valueRecords(checked) : csvRecords(checked, csv);
}

/** Tells of the first rejections, and keeps all in a file. */
class Rejects {
  readonly #call: Call;
  readonly #path: string | undefined;
  #waiting: string[] = [];
  #told = 0;
  first: Rejection | undefined;

  constructor(call: Call, path: string | undefined) {
    this.#call = call;
    this.#path = path;
  }

  readonly add = (rejection: Rejection): void => {
    const { line, column, document, problem, text } = rejection;
    this.first ??= rejection;
    const kept = { line, column, document, problem, text: text?.slice(0, TEXT_CHARS_MAX) };
    this.#waiting.push(`${JSON.stringify(kept)}\n`);
    this.#told += 1;
    if (this.#told > TOLD_MAX) return;
    const { program, stderr } = this.#call.context;
    const where = `line ${line}${column === undefined ? "" : `, column ${column}`}`;
    const what = document === undefined ? "" : ` ${document}:`;
    stderr.write(`${program}: ${where}:${safeText(`${what} ${problem}`)}\n`);
    if (this.#told === TOLD_MAX) stderr.write(`${program}: others are not told here\n`);
  };

  /** Before anybody believes that these records are done. */
  async flush(): Promise<void> {
    const lines = this.#waiting.splice(0);
    const path = this.#path;
    if (lines.length === 0 || path === undefined) return;
    await appendFile(path, lines.join("")).catch((error: unknown) => {
      throw toFileFault(error, path);
    });
  }
}

/** What the command line asks for. */
interface Wish {
  readonly path: string;
  readonly format: Format;
  readonly csv: CsvOptions;
  readonly collection: string | undefined;
  readonly idPath: FieldPath;
  readonly isPatch: boolean;
  readonly isDry: boolean;
  readonly isStopping: boolean;
  readonly progressPath: string | undefined;
  readonly rejectsPath: string | undefined;
}

/** Fault `invalid_argument` for a file in a directory that is not there. */
function checkPlace(path: string | undefined, { name }: OptionRow): void {
  if (path === undefined || existsSync(dirname(path))) return;
  throw new Fault("invalid_argument", `--${name}: ${dirname(path)} is not there`);
}

/** Faults: invalid_argument. */
function readWish(call: Call): Wish {
  const { words, options } = call;
  const [path = ""] = words;
  const isFile = path !== "-";
  const collection = options.get(COLLECTION_OPTION.name);
  const beside = (ending: string) => (isFile ? `${path}.${ending}` : undefined);
  checkPlace(options.get(PROGRESS_OPTION.name), PROGRESS_OPTION);
  checkPlace(options.get(REJECTS_OPTION.name), REJECTS_OPTION);
  return {
    path,
    format: readFormat(call, isFile ? path : undefined),
    csv: {
      delimiter: readDelimiter(options.get(DELIMITER_OPTION.name)),
      isText: options.has(TEXT_OPTION.name),
    },
    collection: collection === undefined ? undefined : parseCollection(collection),
    idPath: parseFieldPath(options.get(ID_OPTION.name) ?? ID_COLUMN),
    isPatch: options.has(PATCH_OPTION.name),
    isDry: options.has(DRY_OPTION.name),
    isStopping: options.has(STOP_OPTION.name),
    progressPath: options.get(PROGRESS_OPTION.name) ?? beside("progress"),
    rejectsPath: options.get(REJECTS_OPTION.name) ?? beside("rejects"),
  };
}

interface Import {
  readonly wish: Wish;
  readonly source: Source;
  readonly signal: AbortSignal;
}

/** Flags that name the node. */
const PLACE_FLAGS = ["broker-addr", "broker-port", "runtime-dir"];

/** By other options other documents would be written, or to another node. */
function markOf({ options, flags }: Call, { wish, source }: Import): ImportMark {
  const { format, csv, collection, idPath, isPatch } = wish;
  const places = [options.get(URL_OPTION.name), ...PLACE_FLAGS.map((name) => flags.get(name))];
  return { ...source.mark, format, csv, collection, idPath, isPatch, places };
}

async function importAll(call: Call, node: NodeClient, work: Import): Promise<Place> {
  const { context } = call;
  const { wish, source, signal } = work;
  const { isDry, isStopping } = wish;
  const progressPath = isDry ? undefined : wish.progressPath;
  const rejects = new Rejects(call, isDry ? undefined : wish.rejectsPath);
  const mark = markOf(call, work);
  const from = progressPath === undefined ? BEGINNING : await readPlace(progressPath, mark);
  if (from.records > 0) {
    const behind = printCount(from.records, "record");
    context.stderr.write(`${context.program}: goes on behind ${behind}\n`);
  }
  const importer = new Importer({ ...wish, node, from, signal, onReject: rejects.add });
  const save = async (): Promise<void> => {
    const { place } = importer;
    await rejects.flush();
    if (progressPath !== undefined) await writePlace(progressPath, place, mark);
  };
  const checkRejects = (): void => {
    if (isStopping && rejects.first !== undefined) throw stopped(rejects.first);
  };
  const label = isDry ? "Checking" : "Importing";
  using progress = new Progress(context, { label, unit: "bytes", total: source.size });
  const bytes = counted(source.bytes, (done) => progress.tell(done));
  let savedMs = performance.now();
  let toSkip = from.records;
  try {
    for await (const record of recordsOf(wish, bytes)) {
      toSkip -= 1;
      if (toSkip >= 0) continue;
      await importer.take(record);
      checkRejects();
      if (performance.now() - savedMs < SAVE_EVERY_MS) continue;
      await save();
      savedMs = performance.now();
    }
    await importer.end();
    checkRejects();
    await rejects.flush();
    if (progressPath !== undefined) await removePlace(progressPath);
    return importer.place;
  } catch (error) {
    await importer.settle();
    await save();
    throw error;
  }
}

function stopped({ line, problem }: Rejection): Fault {
  const sentence = `ended at line ${line}, because of --stop-on-error: ${safeText(problem)}`;
  return new Fault("conflict", sentence);
}

async function run(call: Call): Promise<number> {
  const { context } = call;
  const wish = readWish(call);
  const { path, isDry, progressPath, rejectsPath } = wish;
  const outcome =
    progressPath === undefined ? "what was written stays" : "the same command goes on where it was";
  const signal = interruption(context, { outcome });
  return await withNode(call, async (node) => {
    await using source = await openInput(path, signal);
    // Nobody there is told at once, and not after many tries.
    if (!isDry) await node.ask({ method: "GET", path: `${API}/health` });
    const { written, rejected } = await importAll(call, node, { wish, source, signal });
    const done = `${printCount(written, "document")} ${isDry ? "could be written" : "written"}`;
    const where = rejectsPath === undefined || isDry ? "" : `: see ${rejectsPath}`;
    context.stdout.write(rejected === 0 ? `${done}\n` : `${done}, ${rejected} rejected${where}\n`);
    return rejected === 0 ? EXIT.ok : EXIT.failed;
  });
}

export const importCommand: Command = {
  name: "import",
  sentence:
    "Write documents from a file, as NDJSON, JSON or CSV; broken off, it goes on where it was.",
  usage: "FILE|- [--collection NAME] [--format FORMAT] [--patch] [--dry-run] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [
    COLLECTION_OPTION,
    FORMAT_OPTION,
    ID_OPTION,
    PATCH_OPTION,
    DRY_OPTION,
    STOP_OPTION,
    REJECTS_OPTION,
    PROGRESS_OPTION,
    TEXT_OPTION,
    DELIMITER_OPTION,
    ...NODE_OPTIONS,
  ],
  takesSettings: true,
  examples: [
    "import /srv/tracks.ndjson --collection tracks",
    "import /srv/stations.csv --collection stations --id-field callsign",
    "import - --format ndjson < all.ndjson",
  ],
  run,
};
