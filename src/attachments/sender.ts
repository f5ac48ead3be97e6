// The sending side: a request becomes copies of its files and one document for each, and these are seen to their end.
import type { FileHandle } from "node:fs/promises";
import { type Clock, sleep } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { Formation } from "../identity/formation.ts";
import { type NodeName, shortId } from "../identity/peer.ts";
import { type Bundle, Bundles } from "./bundles.ts";
import {
  type Distribution,
  isOver,
  type NodeState,
  type Priority,
  printEnd,
  printNode,
  verdictOf,
} from "./distribution.ts";
import type { Distributions } from "./distributions.ts";
import type { FilePeers } from "./peers.ts";
import { openBelow } from "./roots.ts";
import {
  checkRequest,
  identityOf,
  readFile,
  readNodeList,
  type SendLimits,
  type SendRequest,
  type WantedFile,
} from "./send-request.ts";
import type { StagedFile, Staging } from "./staging.ts";
import type { BundleWatch } from "./watch.ts";

const log = getLog("peat_mesh::attachments");

export interface SenderOptions {
  readonly clock: Clock;
  readonly formation: Formation;
  readonly nodeName: NodeName;
  readonly ownIds: readonly string[];
  readonly distributions: Distributions;
  readonly peers: FilePeers;
  readonly staging: Staging;
  /** Paths by name. */
  readonly roots: ReadonlyMap<string, string>;
  readonly limits: SendLimits & {
    /** Bundles under way at a time. */
    readonly unfinishedMax: number;
  };
  readonly defaultPriority: Priority;
  /** How long a node that is not connected is waited for, unless it has been connected before. */
  readonly graceSecs: number;
  /** How long a bundle that is over is known, and one that is not goes on; 0: for ever. */
  readonly retentionSecs: number;
}

export interface Sent {
  readonly bundleId: string;
  /** In the order of the files. */
  readonly distributions: readonly Distribution[];
}

interface Sending {
  readonly identity: string;
  readonly sent: Promise<Sent>;
}

/** Bundles that are known at a time; of more, the oldest that are over are forgotten. */
const BUNDLES_MAX = 4096;
/** Nodes with an inbox that are remembered while they are away. */
const RECEIVERS_MAX = 4096;
/** How often bundles are looked at: while one is under way, and else, where none is soon to be forgotten. */
const LOOK_MS = 1_000;
const IDLE_LOOK_MS = 60_000;

export class Sender {
  readonly bundles: Bundles;
  readonly #options: SenderOptions;
  readonly #stop = new AbortController();
  readonly #sending = new Map<string, Sending>();
  /** By short id: whether the node has an inbox. */
  readonly #met = new Map<string, boolean>();
  readonly #endChange: () => void;
  readonly #startedAt: number;
  #sweeping: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.bundles = new Bundles(options.distributions, options.nodeName);
    this.#endChange = options.peers.onChange(() => this.#meet());
    this.#meet();
    options.distributions.onHeard((_, distribution) => {
      if (distribution?.sender === options.nodeName) this.#wake();
    });
  }

  /**
   * Resolves when the files have been copied and are on their way. Faults: invalid_argument with the field's name,
   * payload_too_large, overloaded, conflict, already_exists, storage_full, storage_failed.
   */
  async send(request: SendRequest, signal: AbortSignal): Promise<Sent> {
    const { limits, roots, distributions } = this.#options;
    checkRequest(request, limits);
    const targets = this.#targetsOf(request);
    const files = request.files.map((file, index) =>
      readFile(file, `files[${index}]`, { roots, fileBytesMax: limits.fileBytesMax }),
    );
    await distributions.ready;
    const bundleId =
      request.bundleId === undefined || request.bundleId === ""
        ? crypto.randomUUID()
        : request.bundleId;
    const identity = identityOf(files.map((file) => ({ ...file, path: file.path.join("/") })));
    const same = this.#find(bundleId, identity);
    if (same !== undefined) return await same;
    this.#checkRoom();
    const priority = request.priority ?? this.#options.defaultPriority;
    const over = AbortSignal.any([signal, this.#stop.signal]);
    const sent = this.#begin({ bundleId, files, targets, priority }, over);
    this.#sending.set(bundleId, { identity, sent });
    try {
      return await sent;
    } finally {
      this.#sending.delete(bundleId);
      this.#wake();
    }
  }

  /** False when it is over already. Faults: distribution_not_found; conflict when another node has sent it. */
  async cancel(id: string): Promise<boolean> {
    const { distributions, nodeName } = this.#options;
    const distribution = distributions.find(id);
    if (distribution.sender !== nodeName) {
      const sentence = `distribution_id: was sent by ${distribution.sender}; cancel it there`;
      throw new Fault("conflict", sentence);
    }
    // Who has all of it may have said so before this node has drawn its conclusion.
    const isUnderWay = distribution.verdict === "distributing";
    if (!isUnderWay || verdictOf(distribution) !== undefined) return false;
    return await this.#finish(distribution, "cancelled");
  }

  /** Fault `distribution_not_found`. To be closed. */
  watch(bundleId: string): BundleWatch {
    const watch = this.bundles.watch(bundleId);
    if (watch !== undefined) return watch;
    throw new Fault("distribution_not_found", `bundle_id: ${bundleId} is unknown`);
  }

  /** What a node may have from us, if it is here. */
  async open(receiver: NodeName, hash: string): Promise<StagedFile | undefined> {
    const { formation, staging } = this.#options;
    const ids = formation.endpointIds(receiver).map(({ id }) => shortId(id));
    const isMeant = ({ targets, hash: sent }: Distribution) =>
      sent === hash && ids.some((id) => targets.includes(id));
    return this.bundles.unfinished().some(isMeant) ? await staging.open(hash) : undefined;
  }

  /** Sees everything to its end, until close(). */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock, distributions, retentionSecs } = this.#options;
    const agingMs = retentionSecs === 0 ? IDLE_LOOK_MS : retentionSecs * 500;
    const idleMs = Math.min(IDLE_LOOK_MS, Math.max(LOOK_MS, agingMs));
    await distributions.ready;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await this.#look();
      const isBusy = this.bundles.unfinished().length > 0;
      const over = new AbortController();
      await Promise.race([woken, sleep(clock, isBusy ? LOOK_MS : idleMs, over.signal)]);
      over.abort();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Fault("not_ready", "the node is stopping"));
    this.#endChange();
    this.bundles.close();
    this.#wake();
    await Promise.allSettled([...this.#sending.values()].map(({ sent }) => sent));
    await this.#sweeping;
  }

  /** Short ids of the nodes with an inbox that are connected, or have been. */
  get receivers(): readonly string[] {
    return [...this.#met].filter(([, takesFiles]) => takesFiles).map(([id]) => id);
  }

  #targetsOf({ scope }: SendRequest): readonly string[] {
    const { formation, peers, ownIds } = this.#options;
    this.#meet();
    if (scope?.kind !== "list") return this.receivers;
    return readNodeList(scope.nodeIds, { formation, ownIds, connected: peers.connected() });
  }

  /** The same request, under way or done and not in vain. Fault `already_exists` for another one of this id. */
  #find(bundleId: string, identity: string): Promise<Sent> | undefined {
    const sending = this.#sending.get(bundleId);
    const bundle = this.bundles.get(bundleId);
    const isKept = bundle?.isWhole === true && (bundle.isUnfinished || bundle.isCompleted);
    const known = sending?.identity ?? (isKept ? bundle.identity : undefined);
    if (known === undefined) return undefined;
    if (known !== identity) {
      throw new Fault("already_exists", `bundle_id: ${bundleId} is that of other files`);
    }
    if (sending !== undefined) return sending.sent;
    return Promise.resolve({ bundleId, distributions: bundle?.distributions ?? [] });
  }

  #checkRoom(): void {
    const { unfinishedMax } = this.#options.limits;
    const unfinished = new Set(this.bundles.unfinished().map(({ bundleId }) => bundleId)).size;
    if (unfinished + this.#sending.size < unfinishedMax) return;
    const sentence = `${unfinishedMax} bundles are under way already; wait for one or cancel it`;
    throw new Fault("overloaded", sentence);
  }

  async #begin(
    bundle: {
      readonly bundleId: string;
      readonly files: readonly WantedFile[];
      readonly targets: readonly string[];
      readonly priority: Priority;
    },
    signal: AbortSignal,
  ): Promise<Sent> {
    const { clock, distributions, nodeName } = this.#options;
    const { bundleId, files, targets, priority } = bundle;
    await this.#sweeping;
    const hashes = await this.#takeAll(files, signal);
    const startedAt = clock.now();
    const isOver = targets.length === 0;
    const begun = files.map(
      (file, fileIndex): Distribution => ({
        id: crypto.randomUUID(),
        bundleId,
        fileIndex,
        fileCount: files.length,
        sender: nodeName,
        hash: hashes[fileIndex] ?? "",
        size: file.size,
        sha256: file.sha256,
        name: file.name,
        ...(file.contentType === undefined ? {} : { contentType: file.contentType }),
        priority,
        source: { root: file.root, path: file.path.join("/") },
        targets,
        startedAt,
        verdict: isOver ? "completed" : "distributing",
        ...(isOver ? { endedAt: startedAt } : {}),
        nodes: new Map(),
      }),
    );
    // One that failed or was cancelled, under the same id.
    await this.#forget(bundleId);
    await distributions.begin(begun);
    this.bundles.add(begun);
    log.info("Files are on their way", {
      bundle: bundleId,
      files: files.length,
      nodes: targets.length,
    });
    return { bundleId, distributions: begun };
  }

  async #takeAll(files: readonly WantedFile[], signal: AbortSignal): Promise<readonly string[]> {
    const { roots, staging } = this.#options;
    const opened: FileHandle[] = [];
    const hashes: string[] = [];
    try {
      // All are looked at before the first is read: a wrong size is told at once.
      for (const [index, { root, path, size }] of files.entries()) {
        const field = `files[${index}]`;
        const file = await openBelow(roots.get(root) ?? "", path, field);
        opened.push(file);
        const found = (await file.stat()).size;
        if (found === size) continue;
        const sentence = `${field}.size_bytes: is ${size}, and the file has ${found}`;
        throw new Fault("invalid_argument", sentence);
      }
      for (const [index, { size, sha256 }] of files.entries()) {
        const file = opened[index];
        if (file === undefined) continue;
        hashes.push(await staging.take({ file, size, sha256, field: `files[${index}]` }, signal));
      }
      return hashes;
    } finally {
      await Promise.all(opened.map((file) => file.close()));
    }
  }

  async #forget(bundleId: string): Promise<void> {
    for (const { id } of this.bundles.get(bundleId)?.distributions ?? []) {
      await this.#options.distributions.forget(id);
    }
  }

  /** Who is connected now, and has an inbox or not. */
  #meet(): void {
    for (const { id, takesFiles } of this.#options.peers.connected()) {
      const short = shortId(id);
      if (this.#met.has(short) || this.#met.size < RECEIVERS_MAX) this.#met.set(short, takesFiles);
    }
    this.#wake();
  }

  async #look(): Promise<void> {
    try {
      const bundles = this.bundles.all();
      for (const bundle of bundles) {
        for (const distribution of bundle.distributions) {
          // What this loop itself has just written is mostly heard of a moment later.
          const isOpen = this.#options.distributions.get(distribution.id)?.verdict;
          if (isOpen !== "distributing") continue;
          if (bundle.isWhole || this.#sending.has(bundle.id)) await this.#settle(distribution);
          else await this.#finish(distribution, "failed", "the node stopped while it was sent");
        }
      }
      await this.#forgetOld(bundles);
      this.#sweeping = this.#sweep();
      await this.#sweeping;
    } catch (error) {
      told(error);
    }
  }

  async #settle(distribution: Distribution): Promise<void> {
    const verdict = verdictOf(distribution);
    if (verdict !== undefined) {
      await this.#finish(distribution, verdict);
      return;
    }
    for (const id of distribution.targets) {
      const error = this.#givenUp(distribution, id);
      if (error === undefined) continue;
      const bytes = distribution.nodes.get(id)?.bytes ?? 0;
      const state: NodeState = { status: "failed", bytes, error };
      await this.#options.distributions.patch(distribution.id, printNode(id, state));
    }
  }

  /** Why a node is not waited for any longer. */
  #givenUp({ nodes, startedAt }: Distribution, id: string): string | undefined {
    if (isOver(nodes.get(id))) return undefined;
    const { clock, graceSecs, retentionSecs } = this.#options;
    const now = clock.now();
    if (retentionSecs > 0 && now - startedAt > retentionSecs * 1000) {
      return `was not received within ${retentionSecs} s`;
    }
    if (nodes.has(id) || now - Math.max(startedAt, this.#startedAt) <= graceSecs * 1000) {
      return undefined;
    }
    if (this.#met.get(id) === true) return undefined;
    return this.#met.has(id)
      ? "the node has no inbox (PEAT_ATTACHMENT_INBOX)"
      : `the node was not connected within ${graceSecs} s`;
  }

  async #finish(
    { id, bundleId }: Distribution,
    verdict: "completed" | "failed" | "cancelled",
    error?: string,
  ): Promise<boolean> {
    const { distributions, clock } = this.#options;
    const end = { verdict, endedAt: clock.now(), ...(error === undefined ? {} : { error }) };
    const isThere = await distributions.patch(id, printEnd(end));
    if (isThere) log.info(`Distribution ${verdict}`, { distribution: id, bundle: bundleId });
    return isThere;
  }

  async #forgetOld(bundles: readonly Bundle[]): Promise<void> {
    const { clock, retentionSecs } = this.#options;
    const over = bundles.filter(({ isUnfinished }) => !isUnfinished);
    over.sort((a, b) => a.endedAt - b.endedAt);
    const tooMany = bundles.length - BUNDLES_MAX;
    for (const [index, { id, endedAt }] of over.entries()) {
      const isOld = retentionSecs > 0 && clock.now() - endedAt > retentionSecs * 1000;
      if (isOld || index < tooMany) await this.#forget(id);
    }
  }

  /** Copies that nobody is to have any more. While files are copied, none is judged. */
  async #sweep(): Promise<void> {
    if (this.#sending.size > 0) return;
    const hashes = this.bundles.unfinished().map(({ hash }) => hash);
    await this.#options.staging.keep(new Set(hashes));
  }
}

/** A full disk, mostly: what could not be written or removed is tried again. */
function told(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
  log.debug("Distributions not settled", { cause: messageOf(error) });
}
