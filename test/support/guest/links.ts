// The connections of one guest process: one entry per endpoint id, streams in, frames out
// (peat-mesh 0.6.0 wire, §2.3, §3.1, §3.4, §3.11).
import {
  authenticateAcceptor,
  authenticateConnector,
  type FormationAuth,
} from "./formation-auth.ts";
import { encodeFrame, type Frame, readFrame, wrapAsBatch } from "./frame.ts";
import type { GuestAddress, GuestEndpoint, GuestLink, GuestStream } from "./link.ts";
import type { GuestRecord } from "./record.ts";
import type { GuestTimers } from "./timers.ts";

const STEP_ATTEMPTS = 3;
const ATTEMPT_PAUSE_MS = 200;

export interface GuestLinksOptions {
  readonly endpoint: GuestEndpoint;
  readonly timers: GuestTimers;
  readonly record: GuestRecord;
  readonly auth: FormationAuth | undefined;
  readonly isLaterRelease: boolean;
  readonly onFrame: (peer: string, frame: Frame) => Promise<void>;
  readonly onReady: (peer: string) => void;
  readonly onGone: (peer: string) => void;
}

interface Channel {
  readonly stream: Promise<GuestStream>;
  /** Ends when everything so far is written. */
  tail: Promise<void>;
}

export class GuestLinks {
  readonly #options: GuestLinksOptions;
  readonly #registered = new Map<string, GuestLink>();
  readonly #closed = new WeakSet<GuestLink>();
  /** The long stream of a later release, one per link. */
  readonly #channels = new WeakMap<GuestLink, Channel>();

  constructor(options: GuestLinksOptions) {
    this.#options = options;
    options.endpoint.serve((link) => void this.#accept(link));
  }

  /** Endpoint ids with a registered connection; those that are closed are forgotten here. */
  connected(): string[] {
    for (const [peer, link] of this.#registered) {
      if (this.#closed.has(link)) this.#registered.delete(peer);
    }
    return [...this.#registered.keys()];
  }

  /** Throws after three attempts. */
  async dial(peer: GuestAddress): Promise<void> {
    const { endpoint, timers, auth, record } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const link = await endpoint.connect(peer);
        if (auth !== undefined) await authenticateConnector(link, auth, timers);
        record.counters.linksDialed += 1;
        this.#register(link);
        return;
      } catch (error) {
        if (attempt === STEP_ATTEMPTS || timers.isOver) throw error;
        await timers.sleep(ATTEMPT_PAUSE_MS);
      }
    }
  }

  /** Throws when the peer has no registered connection, or its connection does not take the frame. */
  async send(peer: string, frame: Frame): Promise<void> {
    const link = this.#registered.get(peer);
    if (link === undefined) throw new Error(`No connection to peer ${peer}`);
    if (this.#options.isLaterRelease) {
      const { timers, record } = this.#options;
      const batch = wrapAsBatch([frame], timers.now());
      await this.#sendOnChannel(peer, link, batch);
      record.frame("sent", peer, frame);
    } else await this.#sendOnOwnStream(peer, link, frame);
  }

  /** Only later releases send batches: all `entries` in one frame. */
  async sendBatch(peer: string, entries: readonly Frame[]): Promise<void> {
    const link = this.#registered.get(peer);
    if (link === undefined) throw new Error(`No connection to peer ${peer}`);
    const { timers, record } = this.#options;
    await this.#sendOnChannel(peer, link, wrapAsBatch(entries, timers.now()));
    for (const entry of entries) record.frame("sent", peer, entry);
  }

  async #sendOnOwnStream(peer: string, link: GuestLink, frame: Frame): Promise<void> {
    const stream = await link.openBi();
    this.#options.record.counters.streamsOpened += 1;
    await this.#write(peer, stream, frame);
    await stream.finish();
    // Nothing is ever read on a stream of one's own. That it is over already is no harm.
    await stream.stop(0).catch(() => undefined);
  }

  async #sendOnChannel(peer: string, link: GuestLink, frame: Frame): Promise<void> {
    let channel = this.#channels.get(link);
    if (channel === undefined) {
      this.#options.record.counters.streamsOpened += 1;
      channel = { stream: link.openBi(), tail: Promise.resolve() };
      this.#channels.set(link, channel);
    }
    const { stream, tail } = channel;
    const used = channel;
    const written = tail.then(async () => this.#write(peer, await stream, frame));
    // Whoever waits for this frame hears of its failure; the next one gets a new stream.
    channel.tail = written.catch(() => {
      if (this.#channels.get(link) === used) this.#channels.delete(link);
    });
    await written;
  }

  async #write(peer: string, stream: GuestStream, frame: Frame): Promise<void> {
    const { record } = this.#options;
    const bytes = encodeFrame(frame);
    await stream.write(bytes);
    record.counters.sentBytes += bytes.length;
    record.frame("sent", peer, frame);
  }

  async #accept(link: GuestLink): Promise<void> {
    const { auth, timers, record } = this.#options;
    if (auth !== undefined) {
      try {
        await authenticateAcceptor(link, auth, timers);
      } catch (error) {
        record.counters.authenticationsFailed += 1;
        record.log("WARN", `peer failed formation key authentication, rejecting error=${error}`);
        return;
      }
    }
    record.counters.linksAccepted += 1;
    this.#register(link);
  }

  /** An older connection of the same peer loses its entry but stays open. */
  #register(link: GuestLink): void {
    const { record, onReady, timers } = this.#options;
    if (timers.isOver) return;
    record.log("INFO", `accepted sync connection peer=${link.remoteId}`);
    this.#registered.set(link.remoteId, link);
    void link.closed.then(() => this.#closed.add(link));
    void this.#serve(link);
    onReady(link.remoteId);
  }

  async #serve(link: GuestLink): Promise<void> {
    const { record, onGone, isLaterRelease } = this.#options;
    for (let stream = await link.acceptBi(); stream !== undefined; stream = await link.acceptBi()) {
      record.counters.streamsAccepted += 1;
      void this.#read(link.remoteId, stream);
    }
    record.counters.linksEnded += 1;
    const peer = link.remoteId;
    // Whatever is registered goes, also a newer connection that lives; later releases look first.
    if (isLaterRelease && this.#registered.get(peer) !== link) return;
    this.#registered.delete(peer);
    record.log("INFO", `Cleaned up sync state for disconnected peer peer=${peer}`);
    onGone(peer);
  }

  /** One frame and no more; later releases read on until the end. */
  async #read(peer: string, stream: GuestStream): Promise<void> {
    const { record, onFrame, isLaterRelease } = this.#options;
    try {
      do {
        const frame = await readFrame(stream);
        if (frame === undefined) {
          if (isLaterRelease) break;
          throw new Error("connection lost: stream ended without a frame");
        }
        record.counters.receivedBytes += encodeFrame(frame).length;
        record.frame("received", peer, frame);
        await onFrame(peer, frame);
      } while (isLaterRelease);
    } catch (error) {
      record.counters.streamsFailed += 1;
      record.log("WARN", `Error handling incoming sync stream peer=${peer} error=${error}`);
    }
    // Dropping both halves; a dead link has dropped them already.
    await stream.stop(0).catch(() => undefined);
    await stream.finish().catch(() => undefined);
  }
}
