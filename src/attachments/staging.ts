// What this node sends, in a folder of its own: a copy of each file as it was when it was asked for, under its hash,
// beside the hashes of its parts. What happens to the original afterwards changes nothing.
//
//   <hash>        the content
//   <hash>.tree   hashes of all groups, then of all sections, 32 bytes each
import { type FileHandle, mkdir, readdir } from "node:fs/promises";
import { toHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { Fault, systemCode } from "../base/faults.ts";
import { GROUP_BYTES, HASH_BYTES, SECTION_GROUPS, Shape, TreeBuilder } from "./content-tree.ts";
import { EvenWriter, readAt } from "./file-bytes.ts";
import type { Garbage } from "./garbage.ts";
import { SafeFolder, toFileFault } from "./safe-folder.ts";

const TREE = ".tree";
const PART = ".part";
const OWN_NAME = /^([0-9a-f]{64})(?:\.tree)?$/;

/** A file that a client has described. */
export interface Described {
  readonly file: FileHandle;
  readonly size: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** Where the request describes it, for faults. */
  readonly field: string;
}

export interface StagingOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly garbage: Garbage;
  /** Bytes of the disk that are left to others. */
  readonly spareBytes: number;
}

/** Content that is here and open. */
export class StagedFile implements AsyncDisposable {
  readonly shape: Shape;
  readonly #content: FileHandle;
  readonly #tree: FileHandle;

  constructor(shape: Shape, files: { content: FileHandle; tree: FileHandle }) {
    this.shape = shape;
    this.#content = files.content;
    this.#tree = files.tree;
  }

  sections(): Promise<Uint8Array> {
    const { groups, sections } = this.shape;
    return this.#hashes(groups, sections);
  }

  groups(section: number): Promise<Uint8Array> {
    return this.#hashes(section * SECTION_GROUPS, this.shape.sectionGroups(section));
  }

  content(position: number, length: number): Promise<Uint8Array> {
    return readAt(this.#content, new Uint8Array(length), position);
  }

  #hashes(from: number, count: number): Promise<Uint8Array> {
    return readAt(this.#tree, new Uint8Array(count * HASH_BYTES), from * HASH_BYTES);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#content.close(), this.#tree.close()]);
  }
}

export class Staging implements AsyncDisposable {
  readonly #options: StagingOptions;
  readonly #folder: SafeFolder;
  #parts = 0;

  private constructor(options: StagingOptions, folder: SafeFolder) {
    this.#options = options;
    this.#folder = folder;
  }

  /**
   * Makes the folder if there is none, and removes what a copy left behind that broke off with its process. Rejects
   * with the system's error; fault `storage_failed`.
   */
  static async open(options: StagingOptions): Promise<Staging> {
    await mkdir(options.path, { recursive: true, mode: 0o700 });
    await using undo = new AsyncDisposableStack();
    const staging = undo.use(new Staging(options, await SafeFolder.open(options.path)));
    // Before the first copy is begun: those that follow have the same names.
    await staging.#removeAll((name) => name.includes(PART));
    undo.move();
    return staging;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }

  /**
   * Copies a file, and returns its hash as 64 hex digits. Faults: invalid_argument when it is not as described,
   * storage_full, storage_failed; the reason of `signal`.
   */
  async take(described: Described, signal: AbortSignal): Promise<string> {
    await this.#checkRoom(described.size);
    this.#parts += 1;
    const part = `${this.#parts}${PART}`;
    try {
      const hash = await this.#copy(described, part, signal);
      await this.#folder.moveIn(`${hash}${TREE}`, { folder: this.#folder, name: part + TREE });
      // The content comes last: where it is, the rest is too.
      await this.#folder.moveIn(hash, { folder: this.#folder, name: part });
      return hash;
    } catch (error) {
      // What can't be removed either is not the news.
      await Promise.allSettled([this.#folder.remove(part), this.#folder.remove(part + TREE)]);
      if (error === signal.reason) throw error;
      throw toFileFault(error, "the file can't be copied into the data directory");
    }
  }

  /** Undefined when it is not here. Rejects with the system's error when it can't be read. */
  async open(hash: string): Promise<StagedFile | undefined> {
    await using undo = new AsyncDisposableStack();
    try {
      const content = undo.use(await this.#folder.openFile(hash));
      const tree = undo.use(await this.#folder.openFile(hash + TREE));
      if (content === undefined || tree === undefined) return undefined;
      const { size } = await content.stat();
      undo.move();
      return new StagedFile(new Shape(size), { content, tree });
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
      return undefined;
    }
  }

  /** Removes whatever is neither among these nor being copied now. Fault `storage_failed`. */
  async keep(hashes: ReadonlySet<string>): Promise<void> {
    await this.#removeAll((name) => {
      const hash = OWN_NAME.exec(name)?.[1];
      return hash !== undefined && !hashes.has(hash);
    });
  }

  async #removeAll(isMeant: (name: string) => boolean): Promise<void> {
    try {
      for (const name of await readdir(this.#folder.listed)) {
        if (isMeant(name)) await this.#folder.remove(name);
      }
    } catch (error) {
      throw toFileFault(error, "copies of files can't be removed");
    }
  }

  async #checkRoom(size: number): Promise<void> {
    const free = (await this.#folder.freeBytes()) - this.#options.spareBytes;
    if (size <= free) return;
    throw new Fault(
      "storage_full",
      `the disk of the data directory has no room for a copy of ${size} bytes; make room or lower PEAT_ATTACHMENT_SPARE_BYTES`,
    );
  }

  async #copy({ file, size, sha256, field }: Described, part: string, signal: AbortSignal) {
    const { clock, garbage } = this.#options;
    await using content = await this.#folder.openOwn(part);
    await using tree = await this.#folder.openOwn(part + TREE);
    await Promise.all([content.truncate(0), tree.truncate(0)]);
    const told = new Bun.CryptoHasher("sha256");
    const shape = new Shape(size);
    const builder = new TreeBuilder(shape);
    const contentWriter = new EvenWriter(content);
    const treeWriter = new EvenWriter(tree);
    const buffer = new Uint8Array(GROUP_BYTES);
    for (let group = 0; group < shape.groups; group += 1) {
      signal.throwIfAborted();
      const room = buffer.subarray(0, shape.groupBytes(group));
      const bytes = await readAt(file, room, group * GROUP_BYTES);
      if (bytes.length < room.length) throw changed(field, "size_bytes: it has become shorter");
      told.update(bytes);
      await treeWriter.write(builder.add(bytes));
      await contentWriter.write(bytes);
      garbage.passed(bytes.length);
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    const more = await readAt(file, buffer.subarray(0, 1), size);
    if (more.length > 0) throw changed(field, "size_bytes: it has become longer");
    if (told.digest("hex") !== sha256) throw changed(field, "sha256: the file has another one");
    const { hash, sections } = builder.finish();
    await treeWriter.write(sections);
    await Promise.all([contentWriter.sync(), treeWriter.sync()]);
    return toHex(hash);
  }
}

function changed(field: string, sentence: string): Fault {
  return new Fault("invalid_argument", `${field}.${sentence}`);
}
