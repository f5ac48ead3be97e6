// Links on which files travel, beside those of documents: one to each sender, one from each receiver, none longer than
// the peer is connected for documents.
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { Formation } from "../identity/formation.ts";
import type { NodeName } from "../identity/peer.ts";
import type { ByteStream, Link } from "../net/link.ts";
import { CLOSE, greet, type Member } from "../net/membership.ts";
import { ALPN_ATTACHMENT } from "../wire/attachment.ts";
import type { Hello } from "../wire/hello.ts";
import { answerAsks } from "./answering.ts";
import { Asker } from "./asker.ts";
import type { Garbage } from "./garbage.ts";
import { Idle } from "./idle.ts";
import type { FilePeer, FilePeers } from "./peers.ts";
import type { StagedFile } from "./staging.ts";

const log = getLog("peat_mesh::attachments");

export interface LinksOptions {
  readonly clock: Clock;
  readonly garbage: Garbage;
  readonly formation: Formation;
  readonly hello: Hello;
  readonly peers: FilePeers;
  /** Content that a node may have from us. */
  readonly open: (receiver: NodeName, hash: string) => Promise<StagedFile | undefined>;
}

/** A link that nobody uses is closed after this. */
const IDLE_MS = 60_000;

function close(link: Link, end: { code: number; reason: string }): void {
  link.close(end.code, end.reason);
}

/** Bytes of frames on links of files, since the start. */
export interface FileTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export class Links {
  readonly #options: LinksOptions;
  #sentBytes = 0;
  #receivedBytes = 0;
  readonly #askers = new Map<NodeName, Promise<Asker>>();
  readonly #outgoing = new Map<NodeName, Link>();
  readonly #incoming = new Map<NodeName, { link: Link; abort: AbortController }>();
  readonly #abort = new AbortController();
  readonly #endChange: () => void;

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#endChange = options.peers.onChange(() => this.#closeStray());
  }

  get traffic(): FileTraffic {
    return { sentBytes: this.#sentBytes, receivedBytes: this.#receivedBytes };
  }

  close(): void {
    this.#abort.abort();
    this.#endChange();
    for (const link of this.#outgoing.values()) close(link, CLOSE.normal);
    for (const { link } of this.#incoming.values()) close(link, CLOSE.normal);
  }

  /** Takes a link that has arrived. Resolves when the peer has proved to be a member; Fault `peer_refused`. */
  async arrived(link: Link): Promise<void> {
    const { hello, formation, clock } = this.#options;
    const member = await greet(link, hello, { formation, clock });
    if (this.#abort.signal.aborted || !this.#isConnected(member.name)) {
      close(link, CLOSE.unwanted);
      return;
    }
    void this.#serve(member);
  }

  /** Somebody to ask for files of this peer; one for all that ask. Rejects with DialError, Fault `peer_refused`. */
  asker(peer: FilePeer): Promise<Asker> {
    const known = this.#askers.get(peer.name);
    if (known !== undefined) return known;
    const asker = this.#dial(peer);
    this.#askers.set(peer.name, asker);
    asker.catch(() => this.#askers.delete(peer.name));
    return asker;
  }

  /** No more is asked of this peer for now. */
  release(name: NodeName): void {
    const link = this.#outgoing.get(name);
    if (link !== undefined) close(link, CLOSE.normal);
  }

  async #dial(peer: FilePeer): Promise<Asker> {
    const { hello, formation, clock, peers } = this.#options;
    const link = await peers.dial(peer, ALPN_ATTACHMENT);
    const { stream, name } = await greet(link, hello, { formation, clock });
    if (this.#abort.signal.aborted || name !== peer.name) {
      close(link, CLOSE.unwanted);
      throw new Fault("peer_refused", "the peer has another name now");
    }
    const counted = this.#counted(stream);
    const asker = new Asker(counted, clock, (cause) => this.#broken(name, link, cause));
    this.#outgoing.set(name, link);
    void link.ended.then(() => {
      asker.close();
      if (this.#outgoing.get(name) !== link) return;
      this.#outgoing.delete(name);
      this.#askers.delete(name);
    });
    return asker;
  }

  #broken(name: NodeName, link: Link, cause: unknown): void {
    const isViolation = cause instanceof Fault;
    if (isViolation) {
      log.warn("Peer broke the protocol of files", { peer: name, cause: messageOf(cause) });
    }
    close(link, isViolation ? CLOSE.protocol : CLOSE.normal);
    if (this.#outgoing.get(name) !== link) return;
    this.#outgoing.delete(name);
    this.#askers.delete(name);
  }

  async #serve({ link, stream, name }: Member): Promise<void> {
    const { clock, garbage, open } = this.#options;
    const abort = new AbortController();
    const serving = { link, abort };
    const before = this.#incoming.get(name);
    if (before !== undefined) close(before.link, CLOSE.superseded);
    this.#incoming.set(name, serving);
    const idle = new Idle(clock, IDLE_MS, () => close(link, CLOSE.stalled));
    void link.ended.then(() => abort.abort());
    try {
      const { signal } = abort;
      const opened = (hash: string) => open(name, hash);
      const watched = idle.watch(this.#counted(stream));
      await answerAsks({ stream: watched, clock, garbage, open: opened, signal });
      close(link, CLOSE.normal);
    } catch (error) {
      // A dead link has ended with its own words; what a peer did wrong ends it here.
      const isViolation = error instanceof Fault;
      if (isViolation)
        log.warn("Peer broke the protocol of files", { peer: name, cause: messageOf(error) });
      close(link, isViolation ? CLOSE.protocol : CLOSE.normal);
    } finally {
      idle.end();
      if (this.#incoming.get(name) === serving) this.#incoming.delete(name);
    }
  }

  #counted(stream: ByteStream): ByteStream {
    return {
      read: async (maxBytes) => {
        const bytes = await stream.read(maxBytes);
        this.#receivedBytes += bytes?.length ?? 0;
        return bytes;
      },
      write: async (bytes) => {
        await stream.write(bytes);
        this.#sentBytes += bytes.length;
      },
      finish: () => stream.finish(),
      stop: (code) => stream.stop(code),
    };
  }

  #isConnected(name: NodeName): boolean {
    return this.#options.peers.connected().some((peer) => peer.name === name);
  }

  #closeStray(): void {
    for (const [name, link] of this.#outgoing) {
      if (!this.#isConnected(name)) close(link, CLOSE.unwanted);
    }
    for (const [name, { link }] of this.#incoming) {
      if (!this.#isConnected(name)) close(link, CLOSE.unwanted);
    }
  }
}
