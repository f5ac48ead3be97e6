// The event stream of one WebSocket client: changes from the store's feed, news of peers, and told gaps.
//
// One message is in flight at a time once the socket is full: what comes meanwhile waits in the subscription,
// which is bounded and counts what it drops. A client therefore costs at most its subscription's capacity and
// one message, and what it missed it is told.
import type { CancelTimer, Clock } from "../base/clock.ts";
import type { Taken } from "../base/queue.ts";
import type { Change, Subscription } from "../store/store.ts";
import { printEtag } from "./conditions.ts";
import type { PeerNews } from "./node-view.ts";
import { documentText, type Topology } from "./views.ts";

/** What a stream needs of a socket; Bun's ServerWebSocket has it. */
export interface EventSocket {
  /** -1: taken, but the client is behind (wait for a drain); 0: not taken. */
  sendText(text: string): number;
  /** Bytes that the client has not taken yet. */
  getBufferedAmount(): number;
  close(code: number, reason: string): void;
}

function actionOf({ document, before }: Change): "created" | "updated" | "deleted" {
  if (document.deleted) return "deleted";
  // What a document was before is not known in a backlog: `updated`, whichever it was.
  return before === "absent" || before === "deleted" ? "created" : "updated";
}

/** `{"type":"SyncEvent",…}` (peat-mesh 0.6.0 broker, §9.3), with token, ETag and, if wanted, the document. */
export function printChange(change: Change, withDocument: boolean): string {
  const { collection, id, hash } = change.document;
  const event = {
    type: "SyncEvent",
    collection,
    doc_id: id,
    action: actionOf(change),
    token: change.token,
    etag: printEtag(hash),
  };
  const text = JSON.stringify(event);
  return withDocument ? `${text.slice(0, -1)},"document":${documentText(change.document)}}` : text;
}

export function printPeerNews(news: PeerNews): string {
  return news.kind === "connected"
    ? JSON.stringify({ type: "PeerConnected", peer_id: news.name })
    : JSON.stringify({ type: "PeerDisconnected", peer_id: news.name, reason: news.reason });
}

export function printTopology(role: Topology["role"] | "stopped", peerCount: number): string {
  return JSON.stringify({ type: "TopologyChanged", new_role: role, peer_count: peerCount });
}

/** `missed` is null when nobody knows how much: what was asked for since a token is no longer known. */
function printGap(missed: number | null): string {
  return JSON.stringify({ type: "Gap", missed });
}

function printPosition(token: string): string {
  return JSON.stringify({ type: "Position", token });
}

export interface EventStreamOptions {
  readonly socket: EventSocket;
  readonly subscription: Subscription;
  readonly clock: Clock;
  /** Prints a change as this client wants it; undefined: not at all. */
  readonly print: (change: Change) => string | undefined;
  readonly withPosition: boolean;
  /** A client that takes nothing for this long is hopeless. */
  readonly stallMs: number;
  /** The client missed something; called before it is told. */
  readonly onGap: (missed: number | null) => void;
}

/** A told reason to close (RFC 6455, section 7.4.1; 1013 from its registry). */
export const CLOSE = { goingAway: 1001, tooSlow: 1013 } as const;
/** After so long without a pause others have their turn; looked at after so many messages. */
const TURN_MS = 4;
const TURN_MESSAGES = 64;

export class EventStream {
  readonly #options: EventStreamOptions;
  /** Set while the client is behind; called when it has caught up. */
  #resume: (() => void) | undefined;
  #cancelStall: CancelTimer = () => undefined;
  #missedNews = 0;
  #isClosed = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Sends until the socket or the subscription ends. Never rejects for what a client does. */
  async run(): Promise<void> {
    const { subscription, withPosition, clock, onGap } = this.#options;
    if (withPosition) await this.#send(printPosition(subscription.position));
    if (subscription.lostSince) {
      onGap(null);
      await this.#send(printGap(null));
    }
    let turnStarted = clock.monotonic();
    for (let seen = 1; !this.#isClosed; seen += 1) {
      const taken = await subscription.take();
      if (taken === undefined) return;
      const text = this.#print(taken);
      if (text !== undefined) await this.#send(text);
      if (seen % TURN_MESSAGES === 0 && clock.monotonic() - turnStarted > TURN_MS) {
        await new Promise<void>((resolve) => clock.soon(resolve));
        turnStarted = clock.monotonic();
      }
    }
  }

  /** News of peers, out of the order of changes: sent now, or counted as missed while the client is behind. */
  offer(text: string): void {
    if (this.#isClosed) return;
    if (this.#resume !== undefined) this.#missedNews += 1;
    else if (this.#options.socket.sendText(text) === -1) this.#fallBehind();
  }

  /** The socket has room again. */
  drained(): void {
    if (this.#resume === undefined) return;
    const missed = this.#missedNews;
    this.#missedNews = 0;
    if (missed > 0) {
      this.#options.onGap(missed);
      // Still behind, by this message: the next drain resumes.
      if (this.#options.socket.sendText(printGap(missed)) === -1) return;
    }
    this.#continue();
  }

  /** Says goodbye and closes the socket. */
  end(code: number, reason: string, lastWords?: string): void {
    if (this.#isClosed) return;
    if (lastWords !== undefined && this.#resume === undefined) {
      this.#options.socket.sendText(lastWords);
    }
    this.#options.socket.close(code, reason);
    this.closed();
  }

  /** The socket is closed. */
  closed(): void {
    this.#isClosed = true;
    this.#options.subscription.close();
    this.#continue();
  }

  #print(taken: Taken<Change>): string | undefined {
    if (taken.kind === "item") return this.#options.print(taken.item);
    this.#options.onGap(taken.missed);
    return printGap(taken.missed);
  }

  async #send(text: string): Promise<void> {
    if (this.#resume !== undefined) await this.#caughtUp();
    if (this.#isClosed) return;
    if (this.#options.socket.sendText(text) === -1) this.#fallBehind();
    if (this.#resume !== undefined) await this.#caughtUp();
  }

  #caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  #fallBehind(): void {
    this.#resume = () => undefined;
    this.#watch(this.#options.socket.getBufferedAmount());
  }

  /** Slow is fine, standing still is not. */
  #watch(leftBefore: number): void {
    const { clock, stallMs, socket } = this.#options;
    this.#cancelStall = clock.after(stallMs, () => {
      const left = socket.getBufferedAmount();
      if (left < leftBefore) this.#watch(left);
      else this.end(CLOSE.tooSlow, "too slow");
    });
  }

  #continue(): void {
    this.#cancelStall();
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }
}
