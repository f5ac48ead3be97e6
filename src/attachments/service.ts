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
import { Garbage } from "./garbage.ts";
import { Inbox, type InboxOptions } from "./inbox.ts";
import { Links } from "./links.ts";
import { Outbox } from "./outbox.ts";
import type { FilePeers } from "./peers.ts";
import { openRoots, type Root } from "./roots.ts";
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
    const { sender, staging, outbox } = await openSender(shared);
    if (sender !== undefined) sending.sender = sender;
    const { fileBytesMax } = options.limits;
    const inbox =
      inboxPath === undefined
        ? undefined
        : await Inbox.open({ ...shared, links, path: inboxPath, fileBytesMax });
    return new Attachments({ distributions, links, sender, staging, outbox, inbox });
  }

  /** Undefined where there are no roots. */
  get sender(): Sender | undefined {
    return this.#parts.sender;
  }

  /** Takes a link of the protocol of files. Resolves when the peer is proved; Fault `peer_refused`. */
  arrived(link: Link): Promise<void> {
    return this.#parts.links.arrived(link);
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

type Sending = Pick<Parts, "sender" | "staging" | "outbox">;

async function openSender(shared: Shared): Promise<Sending> {
  const { roots: given, folder, clock, outboxPollSecs: intervalSecs } = shared;
  const none = { sender: undefined, staging: undefined, outbox: undefined };
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
  if (intervalSecs === undefined) return { ...none, staging, sender };
  const outbox = new Outbox({
    clock,
    roots,
    intervalSecs,
    memory: join(path, "outbox.json"),
    hasReceivers: () => sender.receivers.length > 0,
    send: (request, signal) => sender.send(request, signal),
  });
  return { staging, sender, outbox };
}
