// A store on a file under virtual time, with its renderings: restarted, cut off from power, tampered with.
import { Database as Sqlite } from "bun:sqlite";
import { expect, spyOn } from "bun:test";
import { decodeChange } from "@automerge/automerge";
import { HistoryDocument } from "../../src/store/history.ts";
import type { Store } from "../../src/store/store.ts";
import type { StoreOptions } from "../../src/store/store-options.ts";
import { openFileStore, tamper } from "./file-store.ts";
import { key, put, read, remove } from "./memory-store.ts";
import { startId } from "./states.ts";
import { tempFolder } from "./temp-folder.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** By then everything that was committed is rendered. */
const RENDERED_MS = 10_000;

/** A node under virtual time that can restart. */
export class LateNode implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly path: string;
  readonly #folder = tempFolder({ isInMemory: true });
  #options: Partial<StoreOptions>;
  #sqlite: Sqlite | undefined;
  store: Store;

  constructor(options: Partial<StoreOptions> = {}) {
    this.path = this.#folder.file("peat.db");
    this.#options = options;
    this.store = this.#open();
  }

  #open(): Store {
    const { exec } = Sqlite.prototype;
    const opened = new Set<Sqlite>();
    const spy = spyOn(Sqlite.prototype, "exec").mockImplementation(function (
      this: Sqlite,
      ...args
    ) {
      opened.add(this);
      return exec.apply(this, args);
    });
    const { store } = openFileStore(this.path, { clock: this.clock, ...this.#options });
    spy.mockRestore();
    [this.#sqlite] = opened;
    return store;
  }

  /** SQLite then refuses to write. */
  set isReadOnly(value: boolean) {
    this.#sqlite?.exec(`PRAGMA query_only = ${value ? 1 : 0}`);
  }

  /** SQLite takes the file for the largest that there is room for. */
  fillDisk(): void {
    this.#sqlite?.exec("PRAGMA max_page_count = 1");
  }

  makeRoom(): void {
    this.#sqlite?.exec("PRAGMA max_page_count = 1000000");
  }

  async #answer<T>(answer: Promise<T>): Promise<T> {
    await this.clock.advance(1);
    return await answer;
  }

  put(name: string, value: object) {
    return this.#answer(put(this.store, name, value));
  }

  patch(name: string, value: object) {
    const operation = { kind: "patch", body: JSON.stringify(value) } as const;
    return this.#answer(this.store.write({ key: key(name), operation }));
  }

  remove(name: string) {
    return this.#answer(remove(this.store, name));
  }

  /** A power cut: what waited in memory is lost. */
  crash(tampering?: string | ((path: string) => void)): void {
    const close = spyOn(this.store.renderings, "close").mockImplementation(() => undefined);
    this.store.close();
    close.mockRestore();
    if (typeof tampering === "string") tamper(this.path, tampering);
    else tampering?.(this.path);
    this.store = this.#open();
  }

  restart(): void {
    this.store.close();
    this.store = this.#open();
  }

  restartWith(options: Partial<StoreOptions>): void {
    this.#options = options;
    this.restart();
  }

  async rendered(): Promise<void> {
    await this.clock.advance(RENDERED_MS);
  }

  changes(name: string) {
    return changesOf(this.store, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.close();
    this.#folder[Symbol.dispose]();
  }
}

/** The rendering's changes, once Automerge has said that they are one document; undefined: there is none. */
export function changesOf(store: Store, name: string) {
  const chunks = store.renderings.read(key(name));
  if (chunks === undefined) return undefined;
  const document = HistoryDocument.load(chunks, startId("9"));
  expect(document?.printJson()).toBe(read(store, name) ?? "");
  document?.free();
  const changes: ReturnType<typeof decodeChange>[] = [];
  for (let at = 0; at < chunks.length; ) {
    const length = chunkLength(chunks, at);
    changes.push(decodeChange(chunks.slice(at, at + length)));
    at += length;
  }
  return changes;
}

/** Magic, checksum, type, then the length of the rest in LEB128. */
function chunkLength(bytes: Uint8Array, from: number): number {
  let at = from + 9;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) * 2 ** shift;
    at += 1;
    if (byte < 0x80) return at + length - from;
  }
}
