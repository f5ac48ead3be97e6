// Keeps a table of EndpointSlices true: a list, a watch from its version on, and a list again every half minute,
// which finds whatever the watch has missed. Time and requests are given, so that all of it runs on a virtual clock.
import { backoffMs } from "../base/backoff.ts";
import { type CancelTimer, type Clock, sleep } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { PeerEvent } from "../identity/peer.ts";
import {
  readSliceEvent,
  readSliceList,
  type SliceEvent,
  type SliceList,
  type SliceRules,
  type SliceTable,
} from "./kubernetes-slices.ts";

const log = getLog("peat_mesh::discovery::kubernetes");

const POLL_MS = 30_000;
/** Share of the interval that is left to chance: the nodes of a formation shall not ask in step. */
const POLL_JITTER = 0.2;
/** Until a list is there whole, or a watch begins to answer. */
const ANSWER_MS = 10_000;
/**
 * A watch has a bookmark a minute where anything in the cluster changes. One that says nothing for so long may have
 * died unnoticed; to begin it anew costs one request.
 */
const SILENCE_MS = 150_000;
/** A watch that ends sooner was no success. */
const SETTLED_MS = 5_000;
/** What a server may ask us to wait at most. */
const RETRY_AFTER_MS_MAX = 60_000;

/** Why a request brought nothing; the message is for people. */
export class RequestFailure extends Error {
  override readonly name = "RequestFailure";
  /** HTTP status of the answer, or of the event that ended a watch; undefined without any answer. */
  readonly status: number | undefined;
  /** How long the server wants to be left alone. */
  readonly retryAfterMs: number;

  constructor(message: string, status?: number, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.retryAfterMs = Math.min(retryAfterMs, RETRY_AFTER_MS_MAX);
  }
}

/** Just above HTTP: bodies and events parsed, and nothing in them believed. Both end when the signal aborts. */
export interface SliceApi {
  /** `atLeast`: any state not older than this version will do, else the newest. Rejects with RequestFailure. */
  list(atLeast: string | undefined, signal: AbortSignal): Promise<unknown>;
  /**
   * Resolves when the server begins to answer; the events end when the server ends them. Both reject with
   * RequestFailure.
   */
  watch(from: string, signal: AbortSignal): Promise<AsyncIterable<unknown>>;
}

export type WatchReport =
  | { readonly kind: "listed"; readonly list: SliceList }
  | { readonly kind: "watched" }
  | {
      readonly kind: "list failed" | "watch failed";
      readonly failure: RequestFailure;
      /** So many in a row. */
      readonly attempts: number;
    };

export interface SliceWatchOptions {
  readonly api: SliceApi;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly rules: SliceRules;
  readonly table: SliceTable;
  readonly emit: (events: readonly PeerEvent[]) => void;
  readonly report: (report: WatchReport) => void;
}

export class SliceWatch {
  readonly #options: SliceWatchOptions;
  /** The newest state that the table is known to show. */
  #version: string | undefined;
  #listFailures = 0;
  #watchFailures = 0;
  #listing = new AbortController();
  #nap = new AbortController();
  #watch: AbortController | undefined;
  #watching: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: SliceWatchOptions) {
    this.#options = options;
  }

  /** Resolves after close(); rejects only for a defect of ours. */
  async run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#isClosed) {
      this.#nap = new AbortController();
      const waitMs = await this.#look();
      if (!this.#isClosed) await sleep(clock, waitMs, this.#nap.signal);
    }
    await this.#watching;
  }

  close(): void {
    this.#isClosed = true;
    this.#listing.abort();
    this.#watch?.abort();
    this.#nap.abort();
  }

  /** Lists once, and sees to it that there is a watch; returns how long to wait before the next. */
  async #look(): Promise<number> {
    const { random, report } = this.#options;
    // After a failure the versions may be those of another history: of a store that was restored from a backup.
    const atLeast = this.#listFailures === 0 ? this.#version : undefined;
    const list = await this.#list(atLeast);
    if (this.#isClosed) return 0;
    if (!(list instanceof RequestFailure)) {
      this.#listFailures = 0;
      report({ kind: "listed", list });
      this.#take(list, atLeast !== undefined);
      return POLL_MS * (1 - POLL_JITTER / 2 + POLL_JITTER * random());
    }
    this.#listFailures += 1;
    // Without any answer: a watch would hang on the same dead server.
    if (list.status === undefined) this.#endWatch();
    report({ kind: "list failed", failure: list, attempts: this.#listFailures });
    return Math.max(list.retryAfterMs, backoffMs(this.#listFailures - 1, random()));
  }

  async #list(atLeast: string | undefined): Promise<SliceList | RequestFailure> {
    const { api, clock, rules } = this.#options;
    const request = new AbortController();
    this.#listing = request;
    let isLate = false;
    const cancel = clock.after(ANSWER_MS, () => {
      isLate = true;
      request.abort();
    });
    try {
      const list = readSliceList(await api.list(atLeast, request.signal), rules);
      return list ?? new RequestFailure("the answer is no list of EndpointSlices", 200);
    } catch (error) {
      return isLate ? lateFailure() : failureOf(error);
    } finally {
      cancel();
    }
  }

  #take(list: SliceList, isPoll: boolean): void {
    const { table, emit } = this.#options;
    const isBehind = isOlder(list.version, this.#version);
    // While the list was on its way the watch has brought something newer.
    if (isPoll && isBehind && this.#watch !== undefined) return;
    const events = table.replace(list.slices);
    emit(events);
    const hasMissed = isBehind || events.length > 0;
    if (this.#watch !== undefined && !hasMissed) {
      this.#version = list.version;
      return;
    }
    if (this.#watch !== undefined) log.debug("A list of EndpointSlices was ahead of the watch");
    this.#startWatch(list.version);
  }

  #startWatch(version: string): void {
    this.#endWatch();
    const own = new AbortController();
    this.#watch = own;
    this.#version = version;
    const before = this.#watching;
    this.#watching = this.#follow(own.signal).then(() => before);
  }

  #endWatch(): void {
    this.#watch?.abort();
    this.#watch = undefined;
  }

  /** Watches until aborted, or until it takes a list to go on. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, random, report } = this.#options;
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      const failure = await this.#stream(signal);
      if (signal.aborted) return;
      const hasLasted = clock.monotonic() - startedMs >= SETTLED_MS;
      this.#watchFailures = hasLasted ? 0 : this.#watchFailures + 1;
      const waitMs = hasLasted ? 0 : backoffMs(this.#watchFailures - 1, random());
      if (failure !== undefined) {
        report({ kind: "watch failed", failure, attempts: this.#watchFailures });
      }
      await sleep(clock, Math.max(waitMs, failure?.retryAfterMs ?? 0), signal);
      // What ended in good order is resumed where it ended.
      if (failure === undefined || signal.aborted) continue;
      this.#endWatch();
      this.#nap.abort();
    }
  }

  /** One watch from its beginning to its end; undefined when it ended in good order. */
  async #stream(signal: AbortSignal): Promise<RequestFailure | undefined> {
    const { api, clock } = this.#options;
    const request = new AbortController();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort, { once: true });
    let isLate = false;
    let isSilent = false;
    let cancel: CancelTimer = clock.after(ANSWER_MS, () => {
      isLate = true;
      abort();
    });
    const listen = () => {
      cancel();
      cancel = clock.after(SILENCE_MS, () => {
        isSilent = true;
        abort();
      });
    };
    try {
      const events = await api.watch(this.#version ?? "", request.signal);
      listen();
      for await (const event of events) {
        if (signal.aborted) return undefined;
        listen();
        const failure = this.#hear(readSliceEvent(event, this.#options.rules));
        if (failure !== undefined) return failure;
      }
      return undefined;
    } catch (error) {
      if (!isSilent) return isLate ? lateFailure() : failureOf(error);
      log.debug("The watch of EndpointSlices was silent for too long and is begun anew");
      return undefined;
    } finally {
      cancel();
      abort();
      signal.removeEventListener("abort", abort);
    }
  }

  #hear(event: SliceEvent | undefined): RequestFailure | undefined {
    const { table, emit, report } = this.#options;
    if (event === undefined) return undefined;
    if (event.kind === "failed") return new RequestFailure(event.message, event.status);
    report({ kind: "watched" });
    const version = event.kind === "put" ? event.slice.version : event.version;
    if (version !== "" && !isOlder(version, this.#version)) this.#version = version;
    if (event.kind === "put") emit(table.put(event.slice));
    else if (event.kind === "deleted") emit(table.delete(event.name));
    return undefined;
  }
}

function lateFailure(): RequestFailure {
  return new RequestFailure(`no answer within ${ANSWER_MS / 1000} s`);
}

function failureOf(error: unknown): RequestFailure {
  if (error instanceof RequestFailure) return error;
  throw error;
}

/** Versions are numbers of one history; where they should be anything else, nothing is known. */
function isOlder(version: string, than: string | undefined): boolean {
  if (than === undefined || !/^\d{1,20}$/.test(version) || !/^\d{1,20}$/.test(than)) return false;
  return BigInt(version) < BigInt(than);
}
