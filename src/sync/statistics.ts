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
