// Peers of the same Kubernetes cluster: the pods behind a Service, by its EndpointSlices. Seen within a moment of
// their slice, ready or not, and gone with it; an API server that is away changes nothing that is known.
import { type Clock, systemClock } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { NodeName, PeerEvent } from "../identity/peer.ts";
import { type SliceList, SliceTable } from "./kubernetes-slices.ts";
import {
  type RequestFailure,
  type SliceApi,
  SliceWatch,
  type WatchReport,
} from "./kubernetes-watch.ts";
import type { PeerSource } from "./peer-source.ts";

const log = getLog("peat_mesh::discovery::kubernetes");

/** Rights may arrive a moment after the pod; a refusal that lasts so many attempts is a person's to mend. */
const REFUSALS_UNTIL_HOPELESS = 5;
/** A watch that fails once is resumed; only so many in a row are told. */
const WATCH_FAILURES_TOLD = 3;

export interface KubernetesOptions {
  readonly api: SliceApi;
  readonly namespace: string;
  readonly selector: string;
  readonly ownName: NodeName;
  /** What nodes of this cluster have behind their pods' names. */
  readonly clusterName: string | undefined;
  /** UDP port of peers in slices that list no port. */
  readonly defaultPort: number;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

export class KubernetesSource implements PeerSource {
  readonly name = "kubernetes";
  readonly #options: KubernetesOptions;
  readonly #table: SliceTable;
  readonly #watch: SliceWatch;
  readonly #known = new Set<NodeName>();
  readonly #working = Promise.withResolvers<void>();
  #running: Promise<void> = Promise.resolve();
  #emit: (event: PeerEvent) => void = () => undefined;
  #isClosed = false;
  #failure: RequestFailure | undefined;
  #isWatchTrouble = false;
  #hasListed = false;
  #hasToldUnusable = false;
  #hasToldFull = false;

  constructor(options: KubernetesOptions) {
    const { api, ownName, clusterName, defaultPort } = options;
    this.#options = options;
    this.#table = new SliceTable(ownName);
    this.#watch = new SliceWatch({
      api,
      clock: options.clock ?? systemClock,
      random: options.random ?? Math.random,
      rules: { clusterName, defaultPort },
      table: this.#table,
      emit: (events) => this.#tell(events),
      report: (report) => this.#note(report),
    });
  }

  get trouble(): string | undefined {
    return this.#failure === undefined ? undefined : this.#explain(this.#failure);
  }

  /** Resolves once the slices have been listed for the first time, however long that takes, or after close(). */
  start(emit: (event: PeerEvent) => void): Promise<void> {
    const { namespace, selector } = this.#options;
    this.#emit = emit;
    log.info(
      `Starting Kubernetes discovery in namespace '${namespace}' with selector '${selector}'`,
    );
    // Nobody handles its failure before close(): that is a defect of ours, and ends the process.
    this.#running = this.#watch.run();
    return this.#working.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch.close();
    this.#working.resolve();
    await this.#running;
  }

  #tell(events: readonly PeerEvent[]): void {
    for (const event of events) {
      if (this.#isClosed) return;
      const { identity } = event.kind === "seen" ? event.peer : event;
      if (identity.kind === "name") this.#logPeer(event.kind, identity.name);
      this.#emit(event);
    }
    if (this.#table.refused === 0 || this.#hasToldFull) return;
    this.#hasToldFull = true;
    log.warn("More peers are in the EndpointSlices than are kept; some are ignored");
  }

  #logPeer(kind: PeerEvent["kind"], name: NodeName): void {
    if (kind === "gone") {
      this.#known.delete(name);
      log.debug(`Lost Kubernetes peer: ${name}`);
    } else if (this.#known.has(name)) log.debug(`Updated Kubernetes peer: ${name}`);
    else {
      this.#known.add(name);
      log.debug(`Discovered new Kubernetes peer: ${name}`);
    }
  }

  #note(report: WatchReport): void {
    if (this.#isClosed) return;
    switch (report.kind) {
      case "listed":
        this.#noteListed(report.list);
        break;
      case "list failed":
        this.#noteListFailure(report.failure, report.attempts);
        break;
      case "watched":
        if (this.#isWatchTrouble) log.info("EndpointSlices are watched again");
        this.#isWatchTrouble = false;
        break;
      case "watch failed":
        this.#noteWatchFailure(report.failure, report.attempts);
        break;
    }
  }

  #noteListed({ slices }: SliceList): void {
    const { namespace, selector } = this.#options;
    if (this.#failure !== undefined) log.info("EndpointSlices can be listed again");
    this.#failure = undefined;
    if (!this.#hasListed && slices.length === 0) {
      log.info("No EndpointSlice has these labels yet", { namespace, selector });
    }
    this.#hasListed = true;
    const strange = slices.find(({ unusable }) => unusable > 0);
    if (strange !== undefined && !this.#hasToldUnusable) {
      this.#hasToldUnusable = true;
      const { name: slice, unusable: endpoints } = strange;
      log.warn("Endpoints without a usable name or address are ignored", { slice, endpoints });
    }
    this.#working.resolve();
  }

  #noteListFailure(failure: RequestFailure, attempts: number): void {
    const isNew = attempts === 1 || this.#failure?.status !== failure.status;
    this.#failure = failure;
    const isHopeless = attempts === REFUSALS_UNTIL_HOPELESS && isRefusal(failure);
    if (!isNew && !isHopeless) return;
    const write = isHopeless ? log.error : log.warn;
    write(`Failed to list EndpointSlices: ${this.#explain(failure)}`);
  }

  #noteWatchFailure(failure: RequestFailure, attempts: number): void {
    const text = `Failed to watch EndpointSlices: ${this.#explain(failure)}`;
    if (attempts === WATCH_FAILURES_TOLD && !this.#isWatchTrouble) {
      this.#isWatchTrouble = true;
      log.warn(`${text}; peers are found by listing, up to half a minute late`);
    } else log.debug(text);
  }

  #explain(failure: RequestFailure): string {
    const { status } = failure;
    // One line, whatever the server says.
    const message = failure.message.replaceAll(/\s+/g, " ");
    const { namespace, selector } = this.#options;
    if (status === 400) return `${message}; is '${selector}' a label selector?`;
    if (status !== 401 && status !== 403) return message;
    return `${message}; let this node's account list and watch endpointslices in namespace ${namespace}`;
  }
}

/** What the server will answer again until somebody changes something. */
function isRefusal({ status }: RequestFailure): boolean {
  return status !== undefined && [400, 401, 403, 404, 405].includes(status);
}
