// Files between nodes: what this node sends, receives and knows of them, opened where roots or an inbox are set.
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import type { Formation } from "../identity/formation.ts";
import { type NodeName, shortId } from "../identity/peer.ts";
import type { Link } from "../net/link.ts";
import type { Store } from "../store/store.ts";
import type { Hello } from "../wire/hello.ts";
import type { Distribution, Priority } from "./distribution.ts";
import { Distributions } from "./distributions.ts";
import { type FileFigures, pendingOf } from "./figures.ts";
import { hashFile } from "./file-hash.ts";
import { Garbage } from "./garbage.ts";
import { Inbox, type InboxOptions } from "./inbox.ts";
import { Links } from "./links.ts";
import { Outbox } from "./outbox.ts";
import type { FilePeers } from "./peers.ts";
import { parseRelativePath } from "./relative-path.ts";
import { openBelow, openRoots, type Root, rootAt } from "./roots.ts";
import { checkSize, type SendLimits } from "./send-request.ts";
import { Sender, type SenderOptions } from "./sender.ts";
import { Staging } from "./staging.ts";

export interface AttachmentsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly formation: Formation;
  readonly nodeName: NodeName;
  readonly hello: Hello;
  readonly peers: FilePeers;
  /** None: nothing is sent. */
  readonly roots: readonly Root[];
  /** Undefined: nothing is received. */
  readonly inbox: string | undefined;
  /** Where copies of what is sent lie. */
  readonly folder: string;
  /** Undefined: what appears below the roots is not sent by itself. */
  readonly outboxPollSecs: number | undefined;
  /** Bytes of a disk that are left to others. */
  readonly spareBytes: number;
  readonly limits: SenderOptions["limits"];
  readonly defaultPriority: Priority;
  readonly graceSecs: number;
  readonly retentionSecs: number;
  /** In [0, 1). */
  readonly random: () => number;
}

interface Parts {
  readonly distributions: Distributions;
  readonly links: Links;
  readonly sender: Sender | undefined;
  readonly staging: Staging | undefined;
  readonly outbox: Outbox | undefined;
  readonly inbox: Inbox | undefined;
  readonly roots: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly limits: SendLimits;
}

/** What a request to send has to say of a file. */
export interface FileFacts {
  readonly sizeBytes: bigint;
  readonly sha256: Uint8Array;
}

export class Attachments {
  readonly #parts: Parts;
  readonly #stop = new AbortController();

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Fault `settings_invalid` for folders that can't be used. */
  static async open(options: AttachmentsOptions): Promise<Attachments> {
    const { clock, formation, hello, peers, nodeName, inbox: inboxPath } = options;
    const ownIds = formation.endpointIds(nodeName).map(({ id }) => shortId(id));
    const distributions = new Distributions(options.store);
    const garbage = new Garbage();
    const sending: { sender?: Sender } = {};
    const links = new Links({
      clock,
      garbage,
      formation,
      hello,
      peers,
      open: async (receiver, hash) => await sending.sender?.open(receiver, hash),
    });
    const shared = { ...options, distributions, ownIds, garbage };
    await using undo = new AsyncDisposableStack();
    undo.defer(() => {
      links.close();
      distributions.close();
    });
    const { sender, staging, outbox, roots } = await openSender(shared);
    undo.use(staging);
    undo.defer(() => sender?.close());
    if (sender !== undefined) sending.sender = sender;
    const { limits } = options;
    const { fileBytesMax } = limits;
    const inbox =
      inboxPath === undefined
        ? undefined
        : await Inbox.open({ ...shared, links, path: inboxPath, fileBytesMax });
    undo.move();
    return new Attachments({
      distributions,
      links,
      sender,
      staging,
      outbox,
      inbox,
      roots,
      clock,
      limits,
    });
  }

  /** Undefined where there are no roots. */
  get sender(): Sender | undefined {
    return this.#parts.sender;
  }

  /** Of one request. */
  get limits(): SendLimits {
    return this.#parts.limits;
  }

  /** Folders from which files may be sent, by name. */
  get roots(): ReadonlyMap<string, string> {
    return this.#parts.roots;
  }

  /**
   * Size and hash of a file below a root, as it is now. Faults: invalid_argument and payload_too_large, which begin
   * with `field`; the reason of `signal`.
   */
  async describe(
    { root, path: text, field }: { root: string; path: string; field: string },
    signal: AbortSignal,
  ): Promise<FileFacts> {
    const { roots, clock, limits } = this.#parts;
    const folder = rootAt(roots, root, field);
    const path = parseRelativePath(text);
    if (typeof path === "string") {
      throw new Fault("invalid_argument", `${field}.relative_path: ${path}`);
    }
    const file = await openBelow(folder, path, field);
    try {
      const { size } = await file.stat();
      checkSize(BigInt(size), field, limits.fileBytesMax);
      return { sizeBytes: BigInt(size), sha256: await hashFile(file, size, { clock, signal }) };
    } finally {
      await file.close();
    }
  }

  /** Takes a link of the protocol of files. Resolves when the peer is proved; Fault `peer_refused`. */
  arrived(link: Link): Promise<void> {
    return this.#parts.links.arrived(link);
  }

  /** For whoever shows them. */
  figures(): FileFigures {
    const { links, sender, inbox } = this.#parts;
    const sending = sender === undefined ? undefined : pendingOf(sender.bundles.unfinished());
    return { traffic: links.traffic, sending, inbox: inbox?.figures };
  }

  /** Whoever has sent it. Fault `distribution_not_found`. */
  distribution(id: string): Distribution {
    return this.#parts.distributions.find(id);
  }

  /** Until close(). */
  async run(): Promise<void> {
    const { distributions, sender, inbox, outbox } = this.#parts;
    const watching = outbox?.run(this.#stop.signal);
    await Promise.all([distributions.run(), sender?.run(), inbox?.run(), watching]);
  }

  async close(): Promise<void> {
    const { distributions, links, sender, staging, inbox } = this.#parts;
    this.#stop.abort(new Fault("not_ready", "the node is stopping"));
    links.close();
    distributions.close();
    await Promise.all([sender?.close(), inbox?.close()]);
    await staging?.[Symbol.asyncDispose]();
  }
}

type Shared = AttachmentsOptions &
  Pick<SenderOptions, "distributions" | "ownIds"> &
  Pick<InboxOptions, "garbage">;

type Sending = Pick<Parts, "sender" | "staging" | "outbox" | "roots">;

async function openSender(shared: Shared): Promise<Sending> {
  const { roots: given, folder, clock, outboxPollSecs: intervalSecs } = shared;
  const none = { sender: undefined, staging: undefined, outbox: undefined, roots: new Map() };
  if (given.length === 0) return none;
  const roots = await openRoots(given);
  const path = join(folder, "attachments");
  let staging: Staging;
  try {
    staging = await Staging.open({ ...shared, path });
  } catch (error) {
    const sentence = `${path} can't be used for copies of files (${messageOf(error)})`;
    throw new Fault("storage_unusable", sentence, {}, error);
  }
  const sender = new Sender({ ...shared, roots, staging });
  if (intervalSecs === undefined) return { ...none, staging, sender, roots };
  const outbox = new Outbox({
    clock,
    roots,
    intervalSecs,
    memory: join(path, "outbox.json"),
    hasReceivers: () => sender.receivers.length > 0,
    send: (request, signal) => sender.send(request, signal),
  });
  return { staging, sender, outbox, roots };
}
