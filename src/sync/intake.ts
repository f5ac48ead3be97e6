// States that come from one peer, on their way into the store: bounded, acknowledged once committed.
import { type Clock, sleep } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { IncomingState, MergeOutcome, Store } from "../store/store.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

/** States that wait for their commit; beyond this nothing more is read from the peer. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** What a waiting state costs beside its bytes. */
const ENTRY_COST = 256;
/** Longest key that is taken from a peer, in UTF-16 units: twice what a local write may have. */
const KEY_LENGTH_MAX = 1_300;
const RETRY_MS = 1_000;
const STUCK_MAX = 100;

export interface IntakeContext {
  readonly store: Store;
  readonly clock: Clock;
  /** Name of the peer. */
  readonly origin: string;
  readonly signal: AbortSignal;
  /** As of IncomingState. */
  readonly suspectUntil: () => number | undefined;
  /** What became of a state, once it is committed. */
  readonly merged: (incoming: IncomingState, outcome: MergeOutcome) => void;
}

export class Intake {
  readonly #context: IntakeContext;
  readonly #stuck = new Map<string, string>();
  #waitingBytes = 0;
  #wake: () => void = () => undefined;

  constructor(context: IntakeContext) {
    this.#context = context;
  }

  get isBusy(): boolean {
    return this.#waitingBytes > 0;
  }

  /** Documents of the peer that could not be joined, with the reason. */
  get stuck(): ReadonlyMap<string, string> {
    return this.#stuck;
  }

  /** Resolves when every one of `entries` is committed, or refused for good. Never rejects. */
  async take(entries: readonly { key: string; hash: string; bytes: Uint8Array }[]): Promise<void> {
    let bytes = 0;
    for (const entry of entries) bytes += entry.bytes.length + entry.key.length + ENTRY_COST;
    this.#waitingBytes += bytes;
    await Promise.all(
      entries.map(({ key, ...rest }) => this.#merge({ key: key as DocumentKey, ...rest })),
    );
    this.#waitingBytes -= bytes;
    this.#wake();
  }

  /** Resolves when the peer may be read from again. */
  async room(): Promise<void> {
    if (this.#waitingBytes <= WAITING_BYTES_MAX) return;
    const { signal } = this.#context;
    const stop = () => this.#wake();
    signal.addEventListener("abort", stop, { once: true });
    while (this.#waitingBytes > WAITING_BYTES_MAX && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    signal.removeEventListener("abort", stop);
  }

  async #merge(incoming: IncomingState): Promise<void> {
    const outcome = await this.#outcomeOf(incoming);
    if (outcome === undefined) return;
    if (outcome.kind === "equal") this.#stuck.delete(incoming.key);
    this.#context.merged(incoming, outcome);
  }

  /** Undefined when it was refused for good, or there is no store any more. */
  async #outcomeOf(incoming: IncomingState): Promise<MergeOutcome | undefined> {
    const { store, clock, origin, signal } = this.#context;
    if (incoming.key.length > KEY_LENGTH_MAX) {
      this.#refuse(incoming.key.slice(0, 80), new Fault("wire_invalid", "its key is too long"));
      return undefined;
    }
    while (!signal.aborted) {
      try {
        const suspectUntil = this.#context.suspectUntil();
        return await store.merge({ ...incoming, suspectUntil }, origin);
      } catch (error) {
        // The store has reported what is no fault of the peer's.
        if (!(error instanceof Fault) || error.code === "not_ready") return undefined;
        if (error.code !== "storage_full") {
          this.#refuse(incoming.key, error);
          return undefined;
        }
        // No acknowledgement meanwhile: the peer's window stays shut until there is room again.
        await sleep(clock, RETRY_MS, signal);
      }
    }
    return undefined;
  }

  #refuse(key: string, fault: Fault): void {
    if (this.#stuck.has(key) || this.#stuck.size >= STUCK_MAX) return;
    this.#stuck.set(key, fault.message);
    log.warn("Document of a peer refused", {
      peer: this.#context.origin,
      doc_key: key,
      cause: fault.message,
    });
  }
}
