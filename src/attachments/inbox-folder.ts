// The folder into which files are delivered, and within it the one where they are while they arrive: on the same disk,
// so that each appears at once and whole, or not at all.
import { type FileHandle, mkdir, readdir } from "node:fs/promises";
import { toHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { GROUP_BYTES, Shape, TreeBuilder } from "./content-tree.ts";
import type { Distribution } from "./distribution.ts";
import { readAt } from "./file-bytes.ts";
import type { Garbage } from "./garbage.ts";
import { parseRelativePath, type RelativePath } from "./relative-path.ts";
import { SafeFolder, toFileFault } from "./safe-folder.ts";

/** Begins with a dot: who watches an inbox passes over it. */
const INCOMING = ".peat-incoming";
const PART = ".part";
const READ_AND_WRITE = 0o666;

/** Where a file goes: the name that its sender wants, or its id if nothing may have that name. */
function pathOf({ id, name }: Distribution): RelativePath {
  const path = parseRelativePath(name);
  return typeof path === "string" || path[0] === INCOMING ? [`${id}.bin`] : path;
}

export interface InboxFolderOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly garbage: Garbage;
}

export class InboxFolder implements AsyncDisposable {
  readonly #inbox: SafeFolder;
  readonly #incoming: SafeFolder;
  readonly #options: InboxFolderOptions;

  private constructor(
    options: InboxFolderOptions,
    { inbox, incoming }: { inbox: SafeFolder; incoming: SafeFolder },
  ) {
    this.#options = options;
    this.#inbox = inbox;
    this.#incoming = incoming;
  }

  /** Made if there is none. Rejects with the system's error. */
  static async open(options: InboxFolderOptions): Promise<InboxFolder> {
    const { path } = options;
    await mkdir(path, { recursive: true, mode: 0o750 });
    const inbox = await SafeFolder.open(path);
    try {
      const incoming = await inbox.folder(INCOMING, 0o700);
      return new InboxFolder(options, { inbox, incoming });
    } catch (error) {
      await inbox[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#incoming[Symbol.asyncDispose](), this.#inbox[Symbol.asyncDispose]()]);
  }

  /** Bytes of the disk that anybody may still write. */
  freeBytes(): Promise<number> {
    return this.#incoming.freeBytes();
  }

  /** What has arrived of a file so far. Faults: storage_full, storage_failed. */
  async openPart(distribution: Distribution): Promise<FileHandle> {
    try {
      return await this.#incoming.openOwn(distribution.id + PART);
    } catch (error) {
      throw toFileFault(error, "the partial file can't be opened");
    }
  }

  async removePart(id: string): Promise<void> {
    await this.#incoming.remove(id + PART);
  }

  /** Ids of the distributions of which something has arrived. */
  async parts(): Promise<readonly string[]> {
    // An inbox that can't be listed has nothing that could be gone on with.
    const names = await readdir(this.#incoming.listed).catch(() => []);
    return names.filter((name) => name.endsWith(PART)).map((name) => name.slice(0, -PART.length));
  }

  /** Who may do what with the inbox may do it with the file. Faults: storage_full; `conflict` when something else has the name. */
  async deliver(distribution: Distribution): Promise<void> {
    const path = pathOf(distribution);
    try {
      const mode = await this.#inbox.mode();
      await using folder = await this.#inbox.parentOf(path, mode);
      const from = { folder: this.#incoming, name: distribution.id + PART };
      await using file = await this.#incoming.openOwn(from.name);
      await file.chmod(mode & READ_AND_WRITE);
      await folder.moveIn(path.at(-1) ?? "", from);
    } catch (error) {
      const fault = toFileFault(error, `${path.join("/")} can't be delivered`);
      if (fault.code === "storage_full") throw fault;
      throw new Fault("conflict", fault.message, {}, error);
    }
  }

  /** Whether the file is there already, byte for byte: sent before, or delivered just before a restart. */
  async has(distribution: Distribution, signal: AbortSignal): Promise<boolean> {
    const path = pathOf(distribution);
    let file: FileHandle | undefined;
    try {
      await using folder = await this.#inbox.parentOf(path);
      file = await folder.openFile(path.at(-1) ?? "");
      if (file === undefined || (await file.stat()).size !== distribution.size) return false;
      return (await this.#hash(file, distribution.size, signal)) === distribution.hash;
    } catch {
      // Whatever stands in the way will be told by the delivery.
      return false;
    } finally {
      await file?.close();
    }
  }

  async #hash(file: FileHandle, size: number, signal: AbortSignal): Promise<string | undefined> {
    const { clock, garbage } = this.#options;
    const shape = new Shape(size);
    const builder = new TreeBuilder(shape);
    const buffer = new Uint8Array(GROUP_BYTES);
    for (let group = 0; group < shape.groups; group += 1) {
      const room = buffer.subarray(0, shape.groupBytes(group));
      const bytes = await readAt(file, room, group * GROUP_BYTES);
      if (bytes.length < room.length || signal.aborted) return undefined;
      builder.add(bytes);
      garbage.passed(bytes.length);
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    return toHex(builder.finish().hash);
  }
}
