// PORTS of the guest emulator: connections as the older node uses them, and time. Adapters: over-iroh.ts, over-memory.ts.

/** One bidirectional stream. The peer does not see it before something is written. */
export interface GuestStream {
  write(bytes: Uint8Array): Promise<void>;
  /** Up to `bytesMax` bytes; undefined at the end. */
  read(bytesMax: number): Promise<Uint8Array | undefined>;
  finish(): Promise<void>;
  /** Nothing more is read: the peer's further writes fail with `code`. */
  stop(code: number): Promise<void>;
}

export interface GuestLink {
  /** 64 hex digits, proved by the transport. */
  readonly remoteId: string;
  openBi(): Promise<GuestStream>;
  /** The next stream that the peer opened; undefined once the link is closed. */
  acceptBi(): Promise<GuestStream | undefined>;
  close(code: number, reason: string): void;
  /** Resolves with a word on how it ended. */
  readonly closed: Promise<string>;
}

export interface GuestAddress {
  /** Endpoint id, 64 hex digits. */
  readonly id: string;
  /** `ip:port`. */
  readonly addresses: readonly string[];
}

export interface GuestEndpoint {
  /** Where it listens, as `ip:port`. */
  readonly addresses: readonly string[];
  connect(to: GuestAddress): Promise<GuestLink>;
  /** Hands over every link that arrives, until the endpoint closes. */
  serve(onLink: (link: GuestLink) => void): void;
  close(): Promise<void>;
  /** As far as the transport can: nobody is told. */
  crash(): Promise<void>;
}

/** Binds an endpoint for ALPN `cap/automerge/1` under the identity that belongs to `seed`. */
export type OpenEndpoint = (identity: {
  readonly seed: Uint8Array;
  readonly id: string;
}) => Promise<GuestEndpoint>;

export interface GuestClock {
  /** Ms since the Unix epoch. */
  now(): number;
  /** Calls `run` once; returns what cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export const GUEST_ALPN = "cap/automerge/1";

export const systemGuestClock: GuestClock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves with exactly `length` bytes; undefined when the stream ends before the first of them. */
export async function readExactly(
  stream: GuestStream,
  length: number,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let missing = length;
  while (missing > 0) {
    const part = await stream.read(missing);
    if (part === undefined) {
      if (missing === length) return undefined;
      throw new Error(`connection lost: stream ended ${missing} bytes early`);
    }
    parts.push(part);
    missing -= part.length;
  }
  return Buffer.concat(parts);
}

/** As readExactly, where an end is a fault of the sender. */
export async function demandExactly(stream: GuestStream, length: number): Promise<Uint8Array> {
  const bytes = await readExactly(stream, length);
  if (bytes === undefined && length > 0) throw new Error("connection lost: stream ended early");
  return bytes ?? new Uint8Array(0);
}
