// Counters that status, metrics and RPC show. Plain numbers: whoever shows them reads them.

export interface SessionStatistics {
  /** Ms since the Unix epoch. */
  readonly connectedAtMs: number;
  lastSeenMs: number;
  sentFrames: number;
  sentBytes: number;
  sentDocuments: number;
  receivedFrames: number;
  receivedBytes: number;
  receivedDocuments: number;
}

export function newStatistics(nowMs: number): SessionStatistics {
  return {
    connectedAtMs: nowMs,
    lastSeenMs: nowMs,
    sentFrames: 0,
    sentBytes: 0,
    sentDocuments: 0,
    receivedFrames: 0,
    receivedBytes: 0,
    receivedDocuments: 0,
  };
}

/** Bytes of frames, both ways. */
export interface Traffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** What connections carried that have ended, and those that there are. */
export class TrafficTotal {
  #sentBytes = 0;
  #receivedBytes = 0;

  /** Of a connection that has ended. */
  add({ sentBytes, receivedBytes }: Traffic): void {
    this.#sentBytes += sentBytes;
    this.#receivedBytes += receivedBytes;
  }

  with(present: readonly { readonly statistics: Traffic }[]): Traffic {
    let sentBytes = this.#sentBytes;
    let receivedBytes = this.#receivedBytes;
    for (const { statistics } of present) {
      sentBytes += statistics.sentBytes;
      receivedBytes += statistics.receivedBytes;
    }
    return { sentBytes, receivedBytes };
  }
}
