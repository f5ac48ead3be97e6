// States as peers are sent them: whole, or of a history what they lack.
import type { CrdtCache } from "./crdt-cache.ts";
import type { Database } from "./database.ts";
import type { DocumentKey } from "./document-key.ts";
import { isSetAside } from "./entry.ts";
import type { HistoryDocument } from "./history.ts";
import type { Row } from "./row.ts";
import { decodeState, encodeState, type StateHash } from "./state.ts";

export interface StateReaderOptions {
  readonly database: Database;
  readonly cache: CrdtCache;
  /** Undefined where there is none, or a damaged one. */
  readonly row: (key: DocumentKey) => Row | undefined;
}

export class StateReader {
  readonly #options: StateReaderOptions;

  constructor(options: StateReaderOptions) {
    this.#options = options;
  }

  /** The stored history, loaded; to be used before another one is loaded. Undefined for other kinds. */
  history(key: DocumentKey, row = this.#options.row(key)): HistoryDocument | undefined {
    const state = row === undefined ? undefined : decodeState(row.state);
    if (state?.form !== "history") return undefined;
    return this.#options.cache.open(key, state.chunks);
  }

  /** The state for a peer that has `heads` of the history (of the life that is ours), else the whole. */
  stateFor(
    key: DocumentKey,
    heads: readonly string[],
  ): { bytes: Uint8Array; hash: StateHash } | undefined {
    const row = this.#options.row(key);
    if (row === undefined) return this.#options.database.stubs.stateOf(key);
    // What is set aside is not offered.
    if (isSetAside(row)) return undefined;
    const { state: whole, hash } = row;
    if (heads.length === 0) return { bytes: whole, hash };
    const document = this.history(key, row);
    const state = decodeState(whole);
    if (state.form !== "history" || document === undefined) return { bytes: whole, hash };
    const chunks = document.changesSince(heads, state.chunks);
    const delta = encodeState({ ...state, chunks });
    return { bytes: delta.length < whole.length ? delta : whole, hash };
  }
}
