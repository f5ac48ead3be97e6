// What a guest did, for tests to look at: counters, its last log lines in the older node's words, every frame.
import { FRAME, type Frame } from "./frame.ts";

export type FrameName = "delta" | "snapshot" | "tombstone" | "tombstones" | "batch" | "other";
type FrameCounts = Record<FrameName, number>;

/** Of one process start. Entries of a batch count under their own type as well. */
export interface GuestCounters {
  streamsOpened: number;
  streamsAccepted: number;
  /** Streams that ended in a warning: broken off, of unknown type, not decodable, or an answer that found no link. */
  streamsFailed: number;
  linksAccepted: number;
  linksDialed: number;
  linksEnded: number;
  authenticationsFailed: number;
  /** Bytes of frames. */
  sentBytes: number;
  receivedBytes: number;
  readonly framesSent: FrameCounts;
  readonly framesReceived: FrameCounts;
  polls: number;
  /** Announcements that left. */
  initiates: number;
  /** Announcements that failed, each a step towards an open breaker. */
  initiatesFailed: number;
  refusedByBreaker: number;
  refusedByRate: number;
  refusedByCooldown: number;
  /** Messages for documents that have a tombstone, ignored in silence. */
  ignoredAsDeleted: number;
}

export interface SeenFrame extends Frame {
  readonly direction: "sent" | "received";
  readonly peer: string;
}

const NAMES: Readonly<Record<number, FrameName>> = {
  [FRAME.delta]: "delta",
  [FRAME.snapshot]: "snapshot",
  [FRAME.tombstone]: "tombstone",
  [FRAME.tombstones]: "tombstones",
  [FRAME.batch]: "batch",
};
const LINES_MAX = 500;

function noFrames(): FrameCounts {
  return { delta: 0, snapshot: 0, tombstone: 0, tombstones: 0, batch: 0, other: 0 };
}

export class GuestRecord {
  readonly counters: GuestCounters = {
    streamsOpened: 0,
    streamsAccepted: 0,
    streamsFailed: 0,
    linksAccepted: 0,
    linksDialed: 0,
    linksEnded: 0,
    authenticationsFailed: 0,
    sentBytes: 0,
    receivedBytes: 0,
    framesSent: noFrames(),
    framesReceived: noFrames(),
    polls: 0,
    initiates: 0,
    initiatesFailed: 0,
    refusedByBreaker: 0,
    refusedByRate: 0,
    refusedByCooldown: 0,
    ignoredAsDeleted: 0,
  };
  readonly lines: string[] = [];
  readonly #onFrame: (frame: SeenFrame) => void;

  constructor(onFrame: ((frame: SeenFrame) => void) | undefined) {
    this.#onFrame = onFrame ?? (() => undefined);
  }

  log(level: "DEBUG" | "INFO" | "WARN" | "ERROR", text: string): void {
    this.lines.push(`${level} ${text}`);
    if (this.lines.length > LINES_MAX) this.lines.shift();
  }

  frame(direction: "sent" | "received", peer: string, frame: Frame): void {
    const { framesSent, framesReceived } = this.counters;
    const counts = direction === "sent" ? framesSent : framesReceived;
    counts[NAMES[frame.type] ?? "other"] += 1;
    this.#onFrame({ ...frame, direction, peer });
  }
}
