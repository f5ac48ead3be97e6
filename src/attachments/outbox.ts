// Files that appear below the roots, sent by themselves: each once as it is, when it has not changed between two looks,
// to all nodes that are known to have an inbox. What was sent is remembered in a file, so a restart sends nothing twice.
import { type FileHandle, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { type Clock, sleep } from "../base/clock.ts";
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import { fieldsOf } from "../base/fields.ts";
import { getLog } from "../base/log.ts";
import { hashFile } from "./file-hash.ts";
import { parseRelativePath, type RelativePath } from "./relative-path.ts";
import { openBelow } from "./roots.ts";
import { SafeFolder } from "./safe-folder.ts";
import type { SendRequest } from "./send-request.ts";
import type { Sent } from "./sender.ts";

const log = getLog("peat_mesh::attachments");

export interface OutboxOptions {
  readonly clock: Clock;
  /** Paths by name. */
  readonly roots: ReadonlyMap<string, string>;
  readonly intervalSecs: number;
  /** The file that remembers what was sent. */
  readonly memory: string;
  readonly hasReceivers: () => boolean;
  readonly send: (request: SendRequest, signal: AbortSignal) => Promise<Sent>;
}

interface Found {
  readonly root: string;
  readonly path: RelativePath;
  /** Another one for each change of the file. */
  readonly version: string;
  readonly size: number;
}

/** Files of all roots; what is beyond is not looked at. */
const FILES_MAX = 100_000;
const DEPTH_MAX = 32;
/** Faults that may pass; after any other the file waits until it changes. */
const PASSING: readonly string[] = ["overloaded", "storage_full", "storage_failed", "not_ready"];

function keyOf({ root, path }: Found): string {
  return `${root}/${path.join("/")}`;
}

export class Outbox {
  readonly #options: OutboxOptions;
  /** Versions by key: as they were at the last look, and as they were sent. */
  #seen = new Map<string, string>();
  #sent = new Map<string, string>();
  #isTold = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalSecs } = this.#options;
    await this.#recall();
    while (!signal.aborted) {
      await this.#look(signal);
      await sleep(clock, intervalSecs * 1000, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { roots, hasReceivers } = this.#options;
    const present = new Map<string, string>();
    const settled: Found[] = [];
    for (const [root, path] of roots) {
      for await (const found of filesBelow(root, path)) {
        if (present.size >= FILES_MAX) return this.#tellTooMany();
        const key = keyOf(found);
        present.set(key, found.version);
        const isNew = this.#sent.get(key) !== found.version;
        if (isNew && this.#seen.get(key) === found.version) settled.push(found);
      }
    }
    this.#seen = present;
    // To nobody a file would be sent in vain, and never again.
    if (!hasReceivers()) return;
    const before = this.#sent.size;
    for (const key of this.#sent.keys()) if (!present.has(key)) this.#sent.delete(key);
    let isChanged = this.#sent.size !== before;
    for (const found of settled) {
      if (signal.aborted) break;
      isChanged = (await this.#send(found, signal)) || isChanged;
    }
    if (isChanged) await this.#remember();
  }

  /** Whether this version is done with. */
  async #send(found: Found, signal: AbortSignal): Promise<boolean> {
    const file = keyOf(found);
    try {
      const sha256 = await this.#hash(found, signal);
      const relativePath = found.path.join("/");
      await this.#options.send(
        {
          files: [{ rootName: found.root, relativePath, sizeBytes: BigInt(found.size), sha256 }],
          scope: { kind: "all" },
          priority: undefined,
          // The same after a crash between the send and the note of it.
          bundleId: `outbox-${new Bun.CryptoHasher("sha256").update(`${file}\n${found.version}`).digest("hex")}`,
        },
        signal,
      );
    } catch (error) {
      if (signal.aborted) return false;
      if (!(error instanceof Fault)) throw error;
      if (PASSING.includes(error.code)) {
        log.debug("File of the outbox waits", { file, cause: messageOf(error) });
        return false;
      }
      log.warn("File of the outbox is not sent", { file, cause: messageOf(error) });
    }
    this.#sent.set(file, found.version);
    return true;
  }

  async #hash({ root, path, size }: Found, signal: AbortSignal): Promise<Uint8Array> {
    const { roots, clock } = this.#options;
    const file: FileHandle = await openBelow(roots.get(root) ?? "", path, "file");
    try {
      return await hashFile(file, size, { clock, signal });
    } finally {
      await file.close();
    }
  }

  #tellTooMany(): void {
    if (!this.#isTold) log.warn("Too many files in the outbox; none is sent", { most: FILES_MAX });
    this.#isTold = true;
  }

  async #recall(): Promise<void> {
    try {
      const sent = fieldsOf(JSON.parse(await readFile(this.#options.memory, "utf8")));
      for (const [key, version] of Object.entries(sent)) {
        if (typeof version === "string") this.#sent.set(key, version);
      }
    } catch (error) {
      if (systemCode(error) === "ENOENT") return;
      log.warn("What the outbox has sent is not remembered; it is sent again", {
        cause: messageOf(error),
      });
    }
  }

  async #remember(): Promise<void> {
    const { memory } = this.#options;
    try {
      const text = JSON.stringify(Object.fromEntries(this.#sent));
      await writeFile(`${memory}.new`, text, { mode: 0o600, flush: true });
      await rename(`${memory}.new`, memory);
    } catch (error) {
      log.warn("What the outbox has sent can't be written down", { cause: messageOf(error) });
    }
  }
}

/** Regular files; names that begin with a dot and links are passed over, as is what can't be read. */
async function* filesBelow(root: string, path: string): AsyncIterable<Found> {
  try {
    await using folder = await SafeFolder.open(path);
    yield* filesIn(root, folder, []);
  } catch (error) {
    log.debug("Root can't be read", { root, cause: messageOf(error) });
  }
}

async function* filesIn(
  root: string,
  folder: SafeFolder,
  above: readonly string[],
): AsyncIterable<Found> {
  const entries = await readdir(folder.listed, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    const path = parseRelativePath([...above, name].join("/"));
    if (name.startsWith(".") || typeof path === "string") continue;
    if (entry.isDirectory() && path.length < DEPTH_MAX) {
      const inner = await folder.folder(name).catch(() => undefined);
      if (inner === undefined) continue;
      await using _ = inner;
      yield* filesIn(root, inner, path);
    } else if (entry.isFile()) {
      const version = await versionOf(folder, name);
      if (version !== undefined) yield { root, path, ...version };
    }
  }
}

async function versionOf(folder: SafeFolder, name: string) {
  const file = await folder.openFile(name).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { size, mtimeNs, ino } = await file.stat({ bigint: true });
    return { version: `${size}:${mtimeNs}:${ino}`, size: Number(size) };
  } finally {
    await file.close();
  }
}
