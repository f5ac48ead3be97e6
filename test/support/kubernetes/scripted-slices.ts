// An API server for virtual time, at the seam above HTTP: it keeps EndpointSlices with versions and answers lists
// and watches as the real one does; what goes wrong is told to it.
import { RequestFailure, type SliceApi } from "../../../src/discovery/kubernetes-watch.ts";
import { endpointSlice, type SliceGiven } from "./slice.ts";

type Trouble = RequestFailure | "no answer";

interface Entry {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: unknown;
}

class Watcher {
  readonly #queue: unknown[] = [];
  #wake: () => void = () => undefined;
  #end: RequestFailure | "good" | undefined;

  give(event: unknown): void {
    this.#queue.push(event);
    this.#wake();
  }

  end(how: RequestFailure | "good"): void {
    this.#end ??= how;
    this.#wake();
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  async *events(): AsyncGenerator<unknown> {
    while (true) {
      const event = this.#queue.shift();
      if (event !== undefined) yield event;
      else if (this.#end === "good") return;
      else if (this.#end !== undefined) throw this.#end;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

export class ScriptedSlices implements SliceApi {
  /** Requests in their order: `list`, `list >=7`, `watch 7`. */
  readonly requests: string[] = [];
  /** What lists and watches that begin now meet instead of an answer. */
  listTrouble: Trouble | undefined;
  watchTrouble: Trouble | undefined;
  /** Watches that are open say nothing any more, as through a broken connection. */
  isMute = false;
  /** A list is answered with the state of its arrival, but not before this. */
  listDelay: Promise<void> = Promise.resolve();
  #version = 100;
  #oldest = 0;
  readonly #objects = new Map<string, unknown>();
  readonly #history: Entry[] = [];
  readonly #watchers = new Set<Watcher>();

  get version(): number {
    return this.#version;
  }

  get openWatches(): number {
    return [...this.#watchers].filter(({ isOpen }) => isOpen).length;
  }

  put(given: SliceGiven): void {
    this.#version += 1;
    const type = this.#objects.has(given.name) ? "MODIFIED" : "ADDED";
    const slice = endpointSlice(given);
    const metadata = { ...slice.metadata, resourceVersion: String(this.#version) };
    const object = { ...slice, metadata };
    this.#objects.set(given.name, object);
    this.#spread({ version: this.#version, type, object });
  }

  delete(name: string): void {
    if (!this.#objects.delete(name)) return;
    this.#version += 1;
    const metadata = { name, resourceVersion: String(this.#version) };
    this.#spread({ version: this.#version, type: "DELETED", object: { metadata } });
  }

  /** Something else in the cluster changes: versions go on. */
  passVersions(count: number): void {
    this.#version += count;
  }

  bookmark(): void {
    const metadata = { resourceVersion: String(this.#version) };
    for (const watcher of this.#watchers)
      this.#give(watcher, { type: "BOOKMARK", object: { metadata } });
  }

  /** Something in the stream of all watches. */
  say(event: unknown): void {
    for (const watcher of this.#watchers) this.#give(watcher, event);
  }

  /** Forgets the past: a watch from before has no answer but 410. */
  compact(): void {
    this.#oldest = this.#version;
    this.#history.length = 0;
  }

  /** The store is restored from a backup: the same objects, older versions. */
  restore(version: number): void {
    this.#version = version;
    this.#history.length = 0;
    this.endWatches(new RequestFailure("connection reset"));
  }

  endWatches(how: RequestFailure | "good"): void {
    for (const watcher of this.#watchers) watcher.end(how);
    this.#watchers.clear();
  }

  async list(atLeast: string | undefined, signal: AbortSignal): Promise<unknown> {
    this.requests.push(atLeast === undefined ? "list" : `list >=${atLeast}`);
    await this.#trouble(this.listTrouble, signal);
    const items = [...this.#objects.values()];
    const body = { metadata: { resourceVersion: String(this.#version) }, items };
    if (Number(atLeast ?? 0) > this.#version) {
      throw new RequestFailure("the API server answers 504: Too large resource version", 504);
    }
    await this.listDelay;
    if (signal.aborted) throw new RequestFailure("given up");
    return body;
  }

  async watch(from: string, signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    this.requests.push(`watch ${from}`);
    await this.#trouble(this.watchTrouble, signal);
    const watcher = new Watcher();
    signal.addEventListener("abort", () => watcher.end(new RequestFailure("given up")), {
      once: true,
    });
    if (Number(from) < this.#oldest) {
      const object = { kind: "Status", code: 410, message: `too old resource version: ${from}` };
      watcher.give({ type: "ERROR", object });
      watcher.end("good");
    } else {
      this.#watchers.add(watcher);
      const missed = this.#history.filter(({ version }) => version > Number(from));
      for (const { type, object } of missed) this.#give(watcher, { type, object });
    }
    return watcher.events();
  }

  #spread(entry: Entry): void {
    this.#history.push(entry);
    for (const watcher of this.#watchers) {
      this.#give(watcher, { type: entry.type, object: entry.object });
    }
  }

  #give(watcher: Watcher, event: unknown): void {
    if (!this.isMute) watcher.give(event);
  }

  #trouble(trouble: Trouble | undefined, signal: AbortSignal): Promise<void> {
    if (trouble === undefined) return Promise.resolve();
    if (trouble !== "no answer") return Promise.reject(trouble);
    return new Promise((_, reject) => {
      const abort = () => reject(new RequestFailure("given up"));
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
