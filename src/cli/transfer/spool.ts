// What an export has of its collections so far: a line for each document, beside a note of how far it is. Both are
// what another run of the same command goes on from.
import { copyFile, type FileHandle, readFile, rename, rm, stat } from "node:fs/promises";
import { createFile, toFileFault, writeAll } from "../../backup/files.ts";
import { toUtf8 } from "../../base/bytes.ts";
import { Fault } from "../../base/faults.ts";
import { fieldsOf } from "../../base/fields.ts";

/** Of an export that was broken off. */
export interface SpoolPlace {
  /** Index of the collection that is being read. */
  readonly collection: number;
  /** The last page's `next`; undefined at a collection's beginning. */
  readonly after: string | undefined;
  readonly documents: number;
}

export const BEGINNING: SpoolPlace = { collection: 0, after: undefined, documents: 0 };

/** Lines and note of the export to `path`. */
function namesOf(path: string) {
  return { lines: `${path}.partial`, note: `${path}.progress` };
}

export class Spool implements AsyncDisposable {
  readonly path: string;
  /** Tells this run from another one that has begun to the same path and goes on in its place. */
  readonly #run = crypto.randomUUID();
  readonly #note: string;
  readonly #file: FileHandle;
  /** What was asked for: another question can't go on from here. */
  readonly #question: string;
  #bytes: number;

  private constructor(parts: {
    path: string;
    note: string;
    file: FileHandle;
    question: string;
    bytes: number;
  }) {
    this.path = parts.path;
    this.#note = parts.note;
    this.#file = parts.file;
    this.#question = parts.question;
    this.#bytes = parts.bytes;
  }

  /**
   * Where an earlier run of the same question ended, and its lines; else the beginning. A run that is still under way
   * ends: its lines are this one's now. Faults: storage_*.
   */
  static async open(path: string, question: string): Promise<{ spool: Spool; place: SpoolPlace }> {
    const { lines, note } = namesOf(path);
    try {
      const known = await readNote(note, question);
      const size = (await stat(lines).catch(() => undefined))?.size ?? -1;
      const { bytes, place } =
        known !== undefined && known.bytes <= size ? known : { bytes: 0, place: BEGINNING };
      const file = await openOwn(lines, bytes);
      await using undo = new AsyncDisposableStack();
      const spool = undo.use(new Spool({ path: lines, note, file, question, bytes }));
      await spool.#tell(place);
      undo.move();
      return { spool, place };
    } catch (error) {
      throw toFileFault(error, lines);
    }
  }

  /** Adds lines, durably; `place` is behind them. Faults: storage_*; conflict, as checkOwn(). */
  async add(lines: readonly string[], place: SpoolPlace): Promise<void> {
    const bytes = toUtf8(lines.join(""));
    await this.checkOwn();
    try {
      // By position: what a torn run left behind is overwritten.
      for (let done = 0; done < bytes.length; ) {
        const left = bytes.length - done;
        const { bytesWritten } = await this.#file.write(bytes, done, left, this.#bytes + done);
        done += bytesWritten;
      }
      this.#bytes += bytes.length;
      await this.#tell(place);
    } catch (error) {
      throw toFileFault(error, this.path);
    }
  }

  /** Fault `conflict` once another run goes on in this one's place. */
  async checkOwn(): Promise<void> {
    const text = await readFile(this.#note, "utf8").catch(() => "{}");
    if (text.includes(this.#run)) return;
    const sentence = `another export has taken over ${this.path}; this one has ended`;
    throw new Fault("conflict", sentence);
  }

  async #tell(place: SpoolPlace): Promise<void> {
    const note = { question: this.#question, run: this.#run, bytes: this.#bytes, ...place };
    const fresh = `${this.#note}.${this.#run}`;
    await Bun.write(fresh, `${JSON.stringify(note)}\n`);
    await rename(fresh, this.#note);
  }

  /** Nothing of it is needed any more. */
  async remove(): Promise<void> {
    await rm(this.#note, { force: true });
    await rm(this.path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** The first `bytes` of the file at `path`, in a file of its own in its place: whoever writes to it does so no more. */
async function openOwn(path: string, bytes: number): Promise<FileHandle> {
  const fresh = `${path}.${crypto.randomUUID()}`;
  const file = await createFile(fresh);
  try {
    if (bytes > 0) await copyFile(path, fresh);
    await file.truncate(bytes);
    await rename(fresh, path);
    return file;
  } catch (error) {
    await file.close();
    await rm(fresh, { force: true });
    throw error;
  }
}

/** Undefined where there is none, or one of another question. */
async function readNote(
  path: string,
  question: string,
): Promise<{ bytes: number; place: SpoolPlace } | undefined> {
  const file = Bun.file(path);
  if (!(await file.exists())) return undefined;
  try {
    const note = fieldsOf(JSON.parse(await file.text()));
    if (note["question"] !== question) return undefined;
    const { bytes, collection, after, documents } = note;
    const isWhole = [bytes, collection, documents].every((count) => Number.isSafeInteger(count));
    if (!isWhole) return undefined;
    return {
      bytes: Number(bytes),
      place: {
        collection: Number(collection),
        after: typeof after === "string" ? after : undefined,
        documents: Number(documents),
      },
    };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw new Fault("storage_failed", `${path} can't be read`, {}, error);
  }
}

/** A new file in which bytes are collected, so that many small ones are few writes. */
export class BufferedWriter {
  readonly #sink: (bytes: Uint8Array) => Promise<void>;
  #texts: string[] = [];
  #chars = 0;

  constructor(sink: FileHandle | ((bytes: Uint8Array) => Promise<void>)) {
    this.#sink = typeof sink === "function" ? sink : (bytes) => writeAll(sink, bytes);
  }

  async write(text: string): Promise<void> {
    this.#texts.push(text);
    this.#chars += text.length;
    if (this.#chars > 256 * 1024) await this.flush();
  }

  async flush(): Promise<void> {
    const text = this.#texts.splice(0).join("");
    this.#chars = 0;
    if (text !== "") await this.#sink(toUtf8(text));
  }
}
