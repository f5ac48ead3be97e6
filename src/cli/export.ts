// `export`: collections of a node as NDJSON, JSON or CSV; broken off, it goes on where it was, and the file is there
// whole or not at all.
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { checkTarget, createFile, moveInto, toFileFault } from "../backup/files.ts";
import { Scratch } from "../backup/scratch.ts";
import { toUtf8 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { fieldsOf } from "../base/fields.ts";
import { compareText } from "../base/text.ts";
import { parseCollection } from "../store/document-key.ts";
import { textField } from "./answer.ts";
import type { OptionRow } from "./arguments.ts";
import { askCollections } from "./collections.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { printExact } from "./exact-json.ts";
import { interruption } from "./interruption.ts";
import { pagesOf } from "./list.ts";
import { withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { Progress } from "./progress.ts";
import { printCount } from "./quantities.ts";
import { writeStandardOutput } from "./standard-bytes.ts";
import { convertLines } from "./transfer/converting.ts";
import { COLLECTION_COLUMN } from "./transfer/csv-cells.ts";
import { FORMAT_OPTION, readFormat } from "./transfer/format-option.ts";
import type { Format } from "./transfer/records.ts";
import { BEGINNING, Spool, type SpoolPlace } from "./transfer/spool.ts";
import { FILTER_OPTION, readWhere, WHERE_OPTION } from "./where.ts";

const OUTPUT_OPTION: OptionRow = {
  name: "output",
  short: "o",
  value: "FILE",
  help: "Where it goes; standard output unless given.",
};
const ALL_OPTION: OptionRow = { name: "all", help: "Every collection that has documents." };
const FORCE_OPTION: OptionRow = { name: "force", help: "Replace FILE if it is there." };

interface Export {
  readonly node: NodeClient;
  readonly collections: readonly string[];
  readonly filter: string | undefined;
  readonly format: Format;
  readonly signal: AbortSignal;
}

/** A document's line; of several collections each says which is its own. */
function printLine(document: unknown, collection: string | undefined): string {
  if (collection === undefined) return `${printExact(document)}\n`;
  const { _id, ...fields } = fieldsOf(document);
  if (Object.hasOwn(fields, COLLECTION_COLUMN)) {
    const sentence = `${collection}/${_id} has a field ${COLLECTION_COLUMN}; export this collection by itself`;
    throw new Fault("conflict", sentence);
  }
  return `${printExact({ _id, [COLLECTION_COLUMN]: collection, ...fields })}\n`;
}

async function collectionsOf(call: Call, node: NodeClient): Promise<readonly string[]> {
  const { words, options } = call;
  const isAll = options.has(ALL_OPTION.name);
  if (isAll === words.length > 0) {
    throw new Fault("invalid_argument", "name collections, or --all of them");
  }
  const twice = words.find((word, at) => words.indexOf(word) !== at);
  if (twice !== undefined) throw new Fault("invalid_argument", `${twice} is named twice`);
  if (!isAll) return words.map(parseCollection);
  const names = (await askCollections(node)).map((one) => textField(one, "name") ?? "");
  return names.map(parseCollection).toSorted(compareText);
}

/** Lines of every page from `place` on, each with the place behind it. */
async function* linesFrom(
  { node, collections, filter, signal }: Export,
  place: SpoolPlace,
): AsyncGenerator<{ lines: string[]; place: SpoolPlace; total: number | undefined }> {
  let { documents, after: from } = place;
  for (const [index, collection] of collections.entries()) {
    if (index < place.collection) continue;
    const pages = pagesOf(node, { collection, limit: undefined, filter, order: undefined, from });
    const told = collections.length > 1 ? collection : undefined;
    for await (const page of pages) {
      signal.throwIfAborted();
      documents += page.documents.length;
      const lines = page.documents.map((document) => printLine(document, told));
      const isLast = page.next === undefined;
      const behind = { collection: isLast ? index + 1 : index, after: page.next, documents };
      // Of one collection without a filter the node knows how many there are.
      const isCounted = told === undefined && filter === undefined;
      yield { lines, place: behind, total: isCounted ? page.count : undefined };
    }
    from = undefined;
  }
}

async function gather(call: Call, work: Export, spool: Spool, place: SpoolPlace): Promise<number> {
  const { context } = call;
  using progress = new Progress(context, { label: "Exporting" });
  let { documents } = place;
  if (documents > 0) {
    context.stderr.write(
      `${context.program}: goes on behind ${printCount(documents, "document")}\n`,
    );
  }
  for await (const page of linesFrom(work, place)) {
    await spool.add(page.lines, page.place);
    documents = page.place.documents;
    progress.tell(documents, page.total);
  }
  return documents;
}

async function toFile(call: Call, work: Export, path: string): Promise<number> {
  const { format, signal, collections, filter } = work;
  await checkTarget(path, { force: call.options.has(FORCE_OPTION.name) });
  const question = JSON.stringify({ collections, filter, url: work.node.place.url.href });
  const { spool, place } = await Spool.open(path, question);
  await using _ = spool;
  const documents = await gather(call, work, spool, place);
  try {
    if (format === "ndjson") {
      await using lines = await open(spool.path, "r");
      await lines.sync();
      await spool.checkOwn();
      await moveInto(spool.path, path);
    } else {
      await using scratch = await Scratch.open(dirname(path));
      const converted = scratch.file("export");
      const file = await createFile(converted);
      try {
        await convertLines({ path: spool.path, format, signal }, file);
        await file.sync();
      } finally {
        await file.close();
      }
      await spool.checkOwn();
      await moveInto(converted, path);
    }
    await spool.remove();
  } catch (error) {
    throw signal.aborted ? signal.reason : toFileFault(error, path);
  }
  call.context.stderr.write(`${path}: ${printCount(documents, "document")}\n`);
  return EXIT.ok;
}

async function toStandardOutput(call: Call, work: Export): Promise<number> {
  const { format, signal } = work;
  if (format === "ndjson") {
    for await (const { lines } of linesFrom(work, BEGINNING)) {
      await writeStandardOutput(toUtf8(lines.join("")));
    }
    return EXIT.ok;
  }
  await using scratch = await Scratch.open(tmpdir());
  const { spool, place } = await Spool.open(scratch.file("export"), "");
  await using _ = spool;
  await gather(call, work, spool, place);
  await convertLines({ path: spool.path, format, signal }, writeStandardOutput);
  return EXIT.ok;
}

async function run(call: Call): Promise<number> {
  const { context, options } = call;
  const path = options.get(OUTPUT_OPTION.name);
  const isFile = path !== undefined && path !== "-";
  const format = readFormat(call, isFile ? path : undefined, "ndjson");
  if (isFile && !existsSync(dirname(path))) {
    throw new Fault("invalid_argument", `--output: ${dirname(path)} is not there`);
  }
  const filter = readWhere(options);
  const outcome = isFile ? "the same command goes on where it was" : "the output is not whole";
  const signal = interruption(context, { outcome });
  return await withNode(call, async (node) => {
    const collections = await collectionsOf(call, node);
    const work = { node, collections, filter, format, signal };
    return isFile ? await toFile(call, work, path) : await toStandardOutput(call, work);
  });
}

const COLLECTIONS_MAX = 1000;

export const exportCommand: Command = {
  name: "export",
  sentence:
    "Write collections to a file as NDJSON, JSON or CSV; broken off, it goes on where it was.",
  usage: "COLLECTION…|--all [-o FILE] [--format FORMAT] [--where CONDITION]… [settings…]",
  wordsMin: 0,
  wordsMax: COLLECTIONS_MAX,
  options: [
    OUTPUT_OPTION,
    FORMAT_OPTION,
    ALL_OPTION,
    WHERE_OPTION,
    FILTER_OPTION,
    FORCE_OPTION,
    ...NODE_OPTIONS,
  ],
  takesSettings: true,
  examples: [
    "export tracks -o /var/tmp/tracks.ndjson --force",
    "export tracks --where status=lost --format csv",
    "export --all -o /var/tmp/all.json --force",
  ],
  run,
};
