// PORT Network and Link: connections to peers whose EndpointId the transport has proved, each with many byte streams.
import type { EndpointId } from "../identity/peer.ts";

/** One bidirectional stream of bytes. Not visible to the peer until something is written. */
export interface ByteStream {
  /** Resolves when the transport has taken the bytes; rejects when the stream or link is dead. */
  write(bytes: Uint8Array): Promise<void>;
  /** Up to `bytesMax` bytes, or undefined at the end of the stream; rejects when it is dead. */
  read(bytesMax: number): Promise<Uint8Array | undefined>;
  /** No more writes; what was written is delivered. */
  finish(): Promise<void>;
  /** No more reads: the peer's further writes fail with `code`. */
  stop(code: number): Promise<void>;
}

/** How a link ended: by whom, with which application code and words. */
export interface LinkEnd {
  readonly by: "us" | "peer" | "transport";
  readonly code: number | undefined;
  readonly reason: string;
}

export interface LinkPath {
  readonly kind: "direct" | "relay" | "unknown";
  /** Remote address of the path in use; undefined while unknown. */
  readonly address: string | undefined;
  readonly rttMs: number | undefined;
}

export interface Link {
  readonly remoteId: EndpointId;
  readonly alpn: string;
  readonly direction: "outgoing" | "incoming";
  openStream(): Promise<ByteStream>;
  /** The next stream that the peer opened, or undefined once the link is closed. */
  acceptStream(): Promise<ByteStream | undefined>;
  /** Closes at once; a second call does nothing. */
  close(code: number, reason: string): void;
  readonly ended: Promise<LinkEnd>;
  path(): LinkPath;
  /** UDP payload bytes of this connection so far, both ways; undefined where the transport can't tell. */
  traffic(): { sentBytes: number; receivedBytes: number } | undefined;
}

/** A connection that arrives: not accepted until somebody says so, so that limits come before handshakes. */
export interface IncomingLink {
  /** `ip:port`; of a connection by a relay, the endpoint id that the relay vouches for. */
  readonly remoteAddress: string;
  /** Whether it has shown that it hears what is sent to that address; anybody can write any address. */
  readonly isHeard: boolean;
  accept(): Promise<Link>;
  refuse(): Promise<void>;
  /** Asks it to come again, heard; for those that are not yet. */
  retry(): Promise<void>;
}

export interface DialTarget {
  readonly id: EndpointId;
  /** `ip:port`, IPv6 in brackets. */
  readonly addresses: readonly string[];
  /** The peer's own, where it is known; else the dialler's are tried, if it has any. */
  readonly relayUrl?: string;
}

/**
 * Why a dial failed. no protocol: the peer does not speak it. stranger: who answers has another identity. unresolved:
 * there is no address. held: it was not to be made.
 */
export type DialErrorKind = "no protocol" | "stranger" | "unresolved" | "held" | "other";

export class DialError extends Error {
  override readonly name = "DialError";
  readonly kind: DialErrorKind;

  constructor(message: string, kind: DialErrorKind, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

export interface Network {
  readonly id: EndpointId;
  /** Whether a peer without a known address may be reached all the same. */
  readonly hasRelay: boolean;
  /** Addresses that this endpoint is bound to, as `ip:port`; the one that was asked for comes first. */
  readonly boundAddresses: readonly string[];
  /** Throws DialError. */
  dial(target: DialTarget, alpn: string): Promise<Link>;
  /** The next connection attempt, or undefined once closed. */
  nextIncoming(): Promise<IncomingLink | undefined>;
  close(): Promise<void>;
}
