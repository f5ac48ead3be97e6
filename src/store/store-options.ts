// What a store is opened with, and what it tells of itself.
import type { Clock } from "../base/clock.ts";
import type { Attempts } from "../base/distribution.ts";
import type { Fault } from "../base/faults.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import type { DocumentKey } from "./document-key.ts";
import type { FeedReaders } from "./feed-readers.ts";
import type { SealOptions } from "./seal.ts";
import type { StateHash } from "./state.ts";

/** One document of a commit, as the sync side needs it. */
export interface Committed {
  readonly key: DocumentKey;
  readonly hash: StateHash;
  /** What a peer that has the state before needs: an encoded State, of a history possibly only the changes. */
  readonly delta: Uint8Array;
  /** `delta` is the whole state: nothing before it is needed. */
  readonly isWhole: boolean;
  /** The peer that it came from; undefined for a local write. */
  readonly origin: string | undefined;
}

export interface StoreOptions {
  /** A file, or ":memory:". */
  readonly path: string;
  readonly nodeName: string;
  readonly policies: CollectionPolicies;
  readonly clock: Clock;
  readonly random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
  readonly cacheBytes: number;
  readonly crdtCacheBytes: number;
  readonly documentBytesMax: number;
  /** How documents lie on disk; in the clear unless given. */
  readonly encryption?: SealOptions | undefined;
  /** Commits and those that failed are counted there. */
  readonly commits?: Attempts | undefined;
  /** Who reads the feed is counted there. */
  readonly readers?: FeedReaders | undefined;
  /** Called once for a failure after which nothing here may be trusted: the process has to end. */
  readonly onFatal: (fault: Fault) => void;
}

export interface StoreSummary {
  readonly storeId: string;
  /** Documents alive. */
  readonly documents: number;
  /** Deleted documents that are remembered. */
  readonly tombstones: number;
  /** Documents committed here so far, each as often as it was. */
  readonly changes: number;
  /** Equal on two nodes exactly when all their documents and tombstones are. */
  readonly rootHash: string;
}
