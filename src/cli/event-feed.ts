// The node's events over a WebSocket, for as long as somebody wants them: a lost connection is made again and goes on
// behind the last event, so that none is lost or told twice. What the node itself could not keep it tells as a gap.
import { backoffMs } from "../base/backoff.ts";
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { field, textField } from "./answer.ts";
import { parseExact } from "./exact-json.ts";
import { pauseUntil } from "./interruption.ts";
import { askGood } from "./node.ts";
import type { NodeClient } from "./node-call.ts";

export interface EventFeedOptions {
  /** The node, looked for anew before each connection: its socket and its token may be others by then. */
  readonly open: () => Promise<NodeClient>;
  /** Of the route `/ws`, but for `since` and `include`. */
  readonly query: Readonly<Record<string, string>>;
  /** Token of the last event that is known already. */
  readonly since: string | undefined;
  /** In their order; false: no more for the moment, go on when `drained` resolves. */
  readonly onEvent: (event: unknown) => boolean;
  readonly drained: () => Promise<void>;
  /** News of peers can't be told again, as documents can: of those that the node left out a gap is told. */
  readonly isNewsWanted: boolean;
  /** Once for each loss, and once when it is over. */
  readonly onLost: (reason: string) => void;
  readonly onBack: () => void;
}

const RETRY_MS_MAX = 5_000;
/** Whoever was too slow is no faster at once. */
const SLOW_PAUSE_MS = 100;
/** A node that has gone without a word is noticed by what it does not answer. */
const PING_MS = 15_000;
const OPEN_MS_MAX = 30_000;
const MESSAGE_CHARS_MAX = 64 * 1024 * 1024;

/** How a connection ended. */
type End =
  | { readonly kind: "stopped" }
  | { readonly kind: "slow" }
  | { readonly kind: "lost"; readonly reason: string; readonly wasOpen: boolean };

export class EventFeed {
  readonly #options: EventFeedOptions;
  #token: string | undefined;
  #hasBeenOpen = false;
  #isLost = false;

  constructor(options: EventFeedOptions) {
    this.#options = options;
    this.#token = options.since;
  }

  /** Of the last event: to go on there another time. Undefined before the first connection. */
  get token(): string | undefined {
    return this.#token;
  }

  /**
   * Tells events until the signal. Faults: `not_ready` when the node can't be reached at first, and whatever it
   * refuses; later it is awaited for ever.
   */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    // A node that is asked and says nothing must not keep anybody who wants to stop.
    const stopped = new Promise<End>((resolve) => {
      signal.addEventListener("abort", () => resolve({ kind: "stopped" }), { once: true });
    });
    while (!signal.aborted) {
      const end = await Promise.race([this.#connect(signal), stopped]);
      if (end.kind === "stopped") return;
      if (end.kind === "slow") {
        await Promise.race([this.#options.drained(), stopped]);
        await pauseUntil(signal, SLOW_PAUSE_MS);
        continue;
      }
      if (!this.#hasBeenOpen) throw new Fault("not_ready", end.reason);
      if (!this.#isLost) this.#options.onLost(end.reason);
      this.#isLost = true;
      failures = end.wasOpen ? 0 : failures + 1;
      const retryMs = Math.min(RETRY_MS_MAX, backoffMs(failures, Math.random()));
      await pauseUntil(signal, retryMs);
    }
  }

  async #connect(signal: AbortSignal): Promise<End> {
    let socket: WebSocket;
    try {
      using node = await this.#options.open();
      // A refused handshake of a WebSocket has no sentence; an ordinary question has.
      await askGood(node, { method: "GET", path: `${API}/node` });
      if (signal.aborted) return { kind: "stopped" };
      socket = node.webSocket(this.#path());
    } catch (error) {
      if (!(error instanceof Fault) || !this.#isPassing(error)) throw error;
      return { kind: "lost", reason: error.message, wasOpen: false };
    }
    return await this.#follow(socket, signal);
  }

  /** While a node starts again, whatever stands before it may answer in its place. */
  #isPassing({ code }: Fault): boolean {
    if (!this.#hasBeenOpen) return code === "not_ready";
    return code !== "unauthenticated" && code !== "forbidden";
  }

  #path(): string {
    const query = new URLSearchParams({ ...this.#options.query, include: "document,position" });
    if (this.#token !== undefined) query.set("since", this.#token);
    return `${API}/ws?${query}`;
  }

  #follow(socket: WebSocket, signal: AbortSignal): Promise<End> {
    const { promise, resolve, reject } = Promise.withResolvers<End>();
    const reading = new ConnectionReader({ isFirst: this.#token === undefined });
    let wasOpen = false;
    let isAlive = true;
    /** What comes after the end is told by the next connection. */
    let isOver = false;
    const end = (how: End) => {
      isOver = true;
      resolve(how);
    };
    const lose = (reason: string) => end({ kind: "lost", reason, wasOpen });
    const stop = () => end({ kind: "stopped" });
    signal.addEventListener("abort", stop, { once: true });
    const opening = setTimeout(() => lose("the node took no WebSocket in time"), OPEN_MS_MAX);
    const pinging = setInterval(() => {
      if (!wasOpen) return;
      if (!isAlive) lose(`no sign of the node for ${PING_MS / 1000} s`);
      isAlive = false;
      socket.ping();
    }, PING_MS);
    socket.addEventListener("open", () => {
      clearTimeout(opening);
      wasOpen = true;
      this.#opened();
    });
    socket.addEventListener("pong", () => {
      isAlive = true;
    });
    socket.addEventListener("message", ({ data }) => {
      if (isOver) return;
      isAlive = true;
      try {
        const event = reading.read(data);
        this.#token = reading.token ?? this.#token;
        if (event === undefined) return;
        const isTold = !isLeftOut(event) || this.#options.isNewsWanted;
        const goesOn = isTold ? this.#options.onEvent(event) : true;
        // The node has kept what it left out: asked for behind the last token, it tells it.
        if (!goesOn || isLeftOut(event)) end({ kind: "slow" });
      } catch (error) {
        isOver = true;
        reject(error);
      }
    });
    socket.addEventListener("close", ({ reason }) => {
      const how = wasOpen ? "the node closed the connection" : "the node took no WebSocket";
      lose(reason === "" ? how : `${how}: ${reason}`);
    });
    return promise.finally(() => {
      clearTimeout(opening);
      clearInterval(pinging);
      signal.removeEventListener("abort", stop);
      socket.terminate();
    });
  }

  #opened(): void {
    this.#hasBeenOpen = true;
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#options.onBack();
  }
}

/** Whether it stands for so many others, for which this connection was too slow. */
function isLeftOut(event: unknown): boolean {
  return field(event, "type") === "Gap" && field(event, "missed") !== null;
}

/** Reads the messages of one connection, and knows after which one the next connection has to go on. */
class ConnectionReader {
  readonly #isFirst: boolean;
  #position: string | undefined;
  /** Undefined until something was told after which it can be gone on. */
  token: string | undefined;

  constructor({ isFirst }: { isFirst: boolean }) {
    this.#isFirst = isFirst;
  }

  /** Undefined for what is not told on. Fault `wire_invalid` for what is no event. */
  read(data: unknown): unknown {
    if (typeof data !== "string" || data.length > MESSAGE_CHARS_MAX) {
      throw new Fault("wire_invalid", "the node sent a message that is no event");
    }
    const event = parseExact(data, { from: "a message of the node" });
    const token = textField(event, "token");
    switch (field(event, "type")) {
      case "Position":
        // With a token of our own, this is where the node is, not where we are.
        this.#position = token;
        if (this.#isFirst) this.token = token;
        return undefined;
      case "Gap":
        // Everything before this connection that could not be told is behind us.
        if (field(event, "missed") === null) this.token = this.#position;
        return event;
      case "SyncEvent":
        if (token === undefined || textField(event, "doc_id") === undefined) {
          throw new Fault("wire_invalid", "the node sent an event without token or document");
        }
        this.token = token;
        return event;
      default:
        return event;
    }
  }
}
