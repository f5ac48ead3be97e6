// The receiving side: what distributions have for this node is fetched, a few files at a time, the most urgent first,
// and delivered. How far each is stands in its document, written by this node alone.
import { backoffMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { Shape } from "./content-tree.ts";
import { byUrgency, type Distribution, isOver, type NodeState, printNode } from "./distribution.ts";
import type { Distributions } from "./distributions.ts";
import { type FetchOutcome, fetchContent } from "./fetch.ts";
import type { Garbage } from "./garbage.ts";
import { InboxFolder } from "./inbox-folder.ts";
import type { Links } from "./links.ts";
import type { FilePeer, FilePeers } from "./peers.ts";

const log = getLog("peat_mesh::attachments");

export interface InboxOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly garbage: Garbage;
  readonly distributions: Distributions;
  readonly links: Links;
  readonly peers: FilePeers;
  /** The short ids that this node can have, the present one first. */
  readonly ownIds: readonly string[];
  readonly fileBytesMax: number;
  readonly spareBytes: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Files that arrive at a time, and of one sender: a slow one must not hold up what others send. */
const SLOTS = 4;
const SLOTS_PER_SENDER = 2;
/** How often a document says how far its file is. */
const PROGRESS_MS = 5_000;
/** A sender whose content is not what he announced is asked so often in all. */
const CORRUPT_MAX = 3;
/** How often it is looked whether the disk has room again. */
const ROOM_MS = 15_000;

/** What is to be fetched. */
interface Wanted {
  distribution: Distribution;
  readonly targetId: string;
  readonly abort: AbortController;
  failures: number;
  corrupt: number;
  /** Not before this, of Clock.monotonic(). */
  notBefore: number;
  isActive: boolean;
  /** What stands under its name has been looked at. */
  isCompared: boolean;
  /** Of the partial file; found good by this process. */
  verifiedBytes: number;
  isShortOfRoom: boolean;
}

type Ended =
  | { readonly status: "completed" }
  | { readonly status: "failed"; readonly error: string };

/** What is to be received, by how far it is, and what was since the start. */
export interface InboxFigures {
  readonly pending: { waiting: number; transferring: number; without_room: number };
  readonly ended: { completed: number; failed: number };
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #ended = { completed: 0, failed: 0 };
  readonly #folder: InboxFolder;
  readonly #wanted = new Map<string, Wanted>();
  readonly #stop = new AbortController();
  readonly #active = new Set<Promise<void>>();
  readonly #endChange: () => void;
  #wake: () => void = () => undefined;

  private constructor(options: InboxOptions, folder: InboxFolder) {
    this.#options = options;
    this.#folder = folder;
    options.distributions.onHeard((id, distribution) => this.#heard(id, distribution));
    this.#endChange = options.peers.onChange(() => this.#wake());
  }

  /** Fault `settings_invalid` when the folder can't be used. */
  static async open(options: InboxOptions): Promise<Inbox> {
    try {
      return new Inbox(options, await InboxFolder.open(options));
    } catch (error) {
      const sentence = `PEAT_ATTACHMENT_INBOX: ${options.path} can't be used (${messageOf(error)}); name a directory that this user may write to`;
      throw new Fault("settings_invalid", sentence, {}, error);
    }
  }

  /** Until close(). */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock, distributions } = this.#options;
    await distributions.ready;
    for (const id of await this.#folder.parts()) {
      if (!this.#wanted.has(id)) this.#remove(id);
    }
    while (!signal.aborted) {
      const waitMs = this.#begin();
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const over = new AbortController();
      const timer = waitMs === undefined ? woken : sleep(clock, waitMs, over.signal);
      await Promise.race([woken, timer]);
      over.abort();
    }
  }

  get figures(): InboxFigures {
    const pending = { waiting: 0, transferring: 0, without_room: 0 };
    for (const { isActive, isShortOfRoom } of this.#wanted.values()) {
      if (isActive) pending.transferring += 1;
      else if (isShortOfRoom) pending.without_room += 1;
      else pending.waiting += 1;
    }
    return { pending, ended: this.#ended };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#endChange();
    for (const { abort } of this.#wanted.values()) abort.abort();
    this.#wake();
    await Promise.all(this.#active);
    await this.#folder[Symbol.asyncDispose]();
  }

  #heard(id: string, distribution: Distribution | undefined): void {
    const known = this.#wanted.get(id);
    const targetId = distribution && this.#targetOf(distribution);
    if (distribution === undefined || targetId === undefined) {
      if (known !== undefined) this.#drop(id, known);
    } else if (known !== undefined) known.distribution = distribution;
    else {
      this.#wanted.set(id, {
        distribution,
        targetId,
        abort: new AbortController(),
        failures: 0,
        corrupt: 0,
        notBefore: 0,
        isActive: false,
        isCompared: false,
        verifiedBytes: 0,
        isShortOfRoom: false,
      });
    }
    this.#wake();
  }

  /** As whom this node is still to have the file. */
  #targetOf({ verdict, targets, nodes }: Distribution): string | undefined {
    if (verdict !== "distributing") return undefined;
    const id = this.#options.ownIds.find((own) => targets.includes(own));
    return id === undefined || isOver(nodes.get(id)) ? undefined : id;
  }

  #drop(id: string, wanted: Wanted): void {
    this.#wanted.delete(id);
    wanted.abort.abort();
    if (!wanted.isActive) this.#remove(id);
  }

  #remove(id: string): void {
    this.#folder.removePart(id).catch((error: unknown) => {
      log.warn("Partial file can't be removed", { distribution: id, cause: messageOf(error) });
    });
  }

  /** Begins what can be; returns how long to wait for what can't be yet. */
  #begin(): number | undefined {
    const now = this.#options.clock.monotonic();
    const connected = new Map<string, FilePeer>();
    for (const peer of this.#options.peers.connected()) connected.set(peer.name, peer);
    const idle = [...this.#wanted.values()].filter(({ isActive }) => !isActive);
    idle.sort((a, b) => byUrgency(a.distribution, b.distribution));
    let waitMs: number | undefined;
    for (const wanted of idle) {
      const peer = connected.get(wanted.distribution.sender);
      if (peer === undefined) continue;
      const leftMs = wanted.notBefore - now;
      if (leftMs > 0) waitMs = Math.min(waitMs ?? leftMs, leftMs);
      else if (this.#hasSlot(peer)) this.#start(wanted, peer);
    }
    return waitMs;
  }

  #hasSlot({ name }: FilePeer): boolean {
    const active = [...this.#wanted.values()].filter(({ isActive }) => isActive);
    const ofSender = active.filter(({ distribution }) => distribution.sender === name);
    return this.#active.size < SLOTS && ofSender.length < SLOTS_PER_SENDER;
  }

  #start(wanted: Wanted, peer: FilePeer): void {
    wanted.isActive = true;
    const work = this.#receive(wanted, peer)
      .catch((error: unknown) => this.#failed(wanted, error))
      .finally(() => {
        wanted.isActive = false;
        this.#active.delete(work);
        const { id } = wanted.distribution;
        // Dropped while it was being fetched: cancelled, or finished.
        if (this.#wanted.get(id) !== wanted && !this.#stop.signal.aborted) this.#remove(id);
        this.#wake();
      });
    this.#active.add(work);
  }

  /** The world's mistakes are tried again; ours end the process. */
  #failed(wanted: Wanted, error: unknown): void {
    const { id } = wanted.distribution;
    if (error instanceof Fault && error.code === "storage_full") {
      if (!wanted.isShortOfRoom)
        log.warn("No room for a file; waiting for it", { distribution: id, cause: error.message });
      wanted.isShortOfRoom = true;
      wanted.notBefore = this.#options.clock.monotonic() + ROOM_MS;
      return;
    }
    const isOurs = error instanceof Fault && error.code === "storage_failed";
    const tell = isOurs && wanted.failures === 0 ? "warn" : "debug";
    log[tell]("File not fetched; trying again", { distribution: id, cause: messageOf(error) });
    this.#later(wanted);
  }

  #later(wanted: Wanted): void {
    const { clock, random } = this.#options;
    wanted.failures += 1;
    wanted.notBefore = clock.monotonic() + backoffMs(wanted.failures, random());
  }

  async #receive(wanted: Wanted, peer: FilePeer): Promise<void> {
    const { fileBytesMax } = this.#options;
    const { size } = wanted.distribution;
    if (size > fileBytesMax) {
      const error = `${size} bytes are more than the ${fileBytesMax} that are taken here`;
      return await this.#end(wanted, { status: "failed", error });
    }
    if (!wanted.isCompared) {
      const isThere = await this.#folder.has(wanted.distribution, wanted.abort.signal);
      if (isThere) return await this.#end(wanted, { status: "completed" });
      wanted.isCompared = true;
    }
    const outcome = await this.#fetch(wanted, peer);
    if (outcome === "done") return await this.#deliver(wanted);
    if (outcome === "stopped") return;
    if (outcome === "gone") {
      const error = "the sender has it no longer, or not for this node";
      return await this.#end(wanted, { status: "failed", error });
    }
    if (outcome === "corrupt") await this.#corrupt(wanted, peer);
    else this.#later(wanted);
  }

  async #fetch(wanted: Wanted, peer: FilePeer): Promise<FetchOutcome> {
    const { clock, garbage, links } = this.#options;
    const { distribution, abort } = wanted;
    await using partial = await this.#folder.openPart(distribution);
    await this.#checkRoom(distribution, (await partial.stat()).size);
    const asker = await links.asker(peer);
    let toldAt = Number.NEGATIVE_INFINITY;
    return await fetchContent({
      asker,
      clock,
      garbage,
      hash: distribution.hash,
      shape: new Shape(distribution.size),
      partial,
      verifiedBytes: wanted.verifiedBytes,
      signal: abort.signal,
      progressed: (bytes) => {
        if (bytes > wanted.verifiedBytes) wanted.failures = 0;
        wanted.verifiedBytes = Math.max(bytes, wanted.verifiedBytes);
        const now = clock.monotonic();
        if (now - toldAt < PROGRESS_MS) return;
        toldAt = now;
        this.#progressed(wanted, bytes);
      },
    });
  }

  #progressed(wanted: Wanted, bytes: number): void {
    this.#tell(wanted, { status: "transferring", bytes }).catch((error: unknown) => {
      log.debug("Progress not written", { cause: messageOf(error) });
    });
  }

  async #checkRoom({ size }: Distribution, stored: number): Promise<void> {
    const free = (await this.#folder.freeBytes()) - this.#options.spareBytes;
    if (size - stored <= free) return;
    throw new Fault(
      "storage_full",
      `${size - stored} bytes are needed and ${Math.max(0, free)} free`,
    );
  }

  async #deliver(wanted: Wanted): Promise<void> {
    if (wanted.abort.signal.aborted) return;
    try {
      await this.#folder.deliver(wanted.distribution);
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "conflict") throw error;
      return await this.#end(wanted, { status: "failed", error: error.message });
    }
    const { id, size, sender } = wanted.distribution;
    log.info("File received", { distribution: id, bytes: size, peer: sender });
    await this.#end(wanted, { status: "completed" });
  }

  async #corrupt(wanted: Wanted, peer: FilePeer): Promise<void> {
    const { id } = wanted.distribution;
    wanted.corrupt += 1;
    log.warn("Peer sent content that is not what it announced", {
      peer: peer.name,
      distribution: id,
    });
    this.#options.links.release(peer.name);
    this.#later(wanted);
    if (wanted.corrupt < CORRUPT_MAX) return;
    const error = "what the sender sends is not what was announced";
    await this.#end(wanted, { status: "failed", error });
  }

  /** The document says so, and nothing more is to be done; until it does, it is tried again. */
  async #end(wanted: Wanted, ended: Ended): Promise<void> {
    const { id, size } = wanted.distribution;
    const bytes = ended.status === "completed" ? size : 0;
    await this.#tell(wanted, { bytes, ...ended });
    this.#ended[ended.status] += 1;
    if (this.#wanted.get(id) === wanted) this.#wanted.delete(id);
    if (ended.status === "failed")
      log.warn("File not received", { distribution: id, cause: ended.error });
  }

  async #tell(wanted: Wanted, state: NodeState): Promise<void> {
    const { distributions } = this.#options;
    await distributions.patch(wanted.distribution.id, printNode(wanted.targetId, state));
  }
}
