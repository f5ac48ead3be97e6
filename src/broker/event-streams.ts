// All WebSocket clients: admitted up to a limit, fed, told of peers, and ended together.
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { compileQuery } from "../store/document-query.ts";
import { parsedDocument } from "../store/parsed.ts";
import type { Change, Store } from "../store/store.ts";
import {
  CLOSE,
  type EventSocket,
  EventStream,
  printChange,
  printPeerNews,
  printTopology,
} from "./events.ts";
import type { NodeView, PeerNews } from "./node-view.ts";
import type { EventQuery } from "./query.ts";
import { type Topology, topologyOf } from "./views.ts";

const log = getLog("peat_mesh::broker");

export interface EventLimits {
  readonly clientsMax: number;
  /** Changes kept for a client that is behind. */
  readonly capacity: number;
  readonly capacityBytes: number;
  readonly stallMs: number;
}

interface EventStreamsOptions {
  readonly store: Store;
  readonly node: NodeView;
  readonly clock: Clock;
  readonly limits: EventLimits;
}

/** Prints each change once for all clients: they come to the same change one after another. */
class ChangePrinter {
  readonly #withDocument: boolean;
  #last: { change: Change; text: string } | undefined;

  constructor(withDocument: boolean) {
    this.#withDocument = withDocument;
  }

  print(change: Change): string {
    if (this.#last?.change !== change) {
      this.#last = { change, text: printChange(change, this.#withDocument) };
    }
    return this.#last.text;
  }
}

export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #streams = new Map<EventSocket, EventStream>();
  readonly #plain = new ChangePrinter(false);
  readonly #full = new ChangePrinter(true);
  readonly #endNews: () => void;
  #topology: Topology;
  #isClosed = false;

  constructor(options: EventStreamsOptions) {
    this.#options = options;
    this.#topology = topologyOf(options.node.peers());
    this.#endNews = options.node.onPeerEvent((news) => this.#tell(news));
  }

  /** Faults: `overloaded` when there are too many clients, `not_ready` while the node stops. */
  checkRoom(): void {
    const { clientsMax } = this.#options.limits;
    if (this.#isClosed) throw new Fault("not_ready", "the node is stopping");
    if (this.#streams.size < clientsMax) return;
    throw new Fault("overloaded", `there are ${clientsMax} WebSocket clients already; try again`);
  }

  open(socket: EventSocket, query: EventQuery): void {
    const { store, clock, limits } = this.#options;
    const { capacity, capacityBytes } = limits;
    if (this.#isClosed || this.#streams.size >= limits.clientsMax) {
      socket.close(CLOSE.tooSlow, "too many clients");
      return;
    }
    const printer = query.withDocuments ? this.#full : this.#plain;
    const holds = query.filter === undefined ? undefined : compileQuery(query.filter);
    const isWanted = ({ document }: Change) =>
      document.deleted || (holds?.(parsedDocument(document)) ?? true);
    let hasLagged = false;
    const stream = new EventStream({
      socket,
      clock,
      subscription: store.subscribe({ ...query, capacity, capacityBytes, reader: "websocket" }),
      print: (change) => (isWanted(change) ? printer.print(change) : undefined),
      withPosition: query.withPosition,
      stallMs: limits.stallMs,
      onGap: (missed) => {
        const told = `ws client lagged, skipped ${missed ?? "an unknown number of"} events`;
        // Once for each client aloud: one that is always behind must not fill the log.
        if (hasLagged) log.debug(told);
        else log.warn(told);
        hasLagged = true;
      },
    });
    this.#streams.set(socket, stream);
    log.debug("WebSocket client connected", { clients: this.#streams.size });
    this.#run(socket, stream);
  }

  drained(socket: EventSocket): void {
    this.#streams.get(socket)?.drained();
  }

  closed(socket: EventSocket): void {
    const stream = this.#streams.get(socket);
    if (stream === undefined) return;
    this.#streams.delete(socket);
    stream.closed();
    log.debug("WebSocket client disconnected", { clients: this.#streams.size });
  }

  /** Says to every client that the node stops, and closes them. */
  close(): void {
    this.#isClosed = true;
    this.#endNews();
    const farewell = printTopology("stopped", 0);
    for (const stream of this.#streams.values()) {
      stream.end(CLOSE.goingAway, "node is stopping", farewell);
    }
    this.#streams.clear();
  }

  #run(socket: EventSocket, stream: EventStream): void {
    const end = () => stream.end(CLOSE.goingAway, "no more events");
    stream.run().then(end, (error: unknown) => {
      log.error("WebSocket stream failed", { cause: messageOf(error) });
      end();
      this.closed(socket);
    });
  }

  #tell(news: PeerNews): void {
    const texts = [printPeerNews(news)];
    const topology = topologyOf(this.#options.node.peers());
    const { role, peerCount } = this.#topology;
    if (topology.role !== role || topology.peerCount !== peerCount) {
      this.#topology = topology;
      texts.push(printTopology(topology.role, topology.peerCount));
    }
    for (const stream of this.#streams.values()) {
      for (const text of texts) stream.offer(text);
    }
  }
}
