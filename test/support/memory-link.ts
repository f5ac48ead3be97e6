// Links and streams between two endpoints of one process: latency, bandwidth, flow control, cuts, sudden death.
import type { CancelTimer } from "../../src/base/clock.ts";
import type { EndpointId } from "../../src/identity/peer.ts";
import type { ByteStream, Link, LinkEnd, LinkPath } from "../../src/net/link.ts";
import { Mailbox } from "./mailbox.ts";
import { type LinkContext, Route } from "./memory-route.ts";

const PACKET_BYTES = 1_200;
const PIECE_MS = 20;
/** What a packet that acknowledges costs, and how often one comes at rest. */
const ACK_BYTES = 40;
const KEEP_ALIVE_MS = 5_000;

type PipeContext = Omit<LinkContext, "sent"> & {
  readonly sent: (part: Uint8Array, stream: object) => void;
  readonly arrived: (bytes: number) => void;
};

/** One direction of a stream, from a writer on one side to a reader on the other. */
class Pipe {
  readonly #context: PipeContext;
  readonly #route: Route;
  readonly #onFirst: () => void;
  #isSeen = false;
  #used = 0;
  #arrived: Uint8Array[] = [];
  #hasFinished = false;
  /** When the newest piece arrives. */
  #lastAt = 0;
  #hasEnded = false;
  #failure: Error | undefined;
  #stopped: Error | undefined;
  #wakeReader: (() => void) | undefined;
  readonly #waitingWriters: (() => void)[] = [];

  constructor(context: PipeContext, route: Route, onFirst: () => void) {
    this.#context = context;
    this.#route = route;
    this.#onFirst = onFirst;
  }

  /** What arrives at one time on a slow path is little. */
  get #pieceBytes(): number {
    return Math.max(PACKET_BYTES, this.#context.path.bytesPerMs * PIECE_MS);
  }

  async write(bytes: Uint8Array): Promise<void> {
    // The writer may use its buffer again.
    const copy = bytes.slice();
    for (let offset = 0; offset < copy.length; ) {
      const failure = this.#failure ?? this.#stopped;
      if (failure !== undefined) throw failure;
      if (this.#hasFinished) throw new Error("the stream is finished");
      const { windowBytes } = this.#context.path;
      const room = windowBytes - this.#used;
      // In large pieces: a reader of single bytes must not make a writer of them.
      if (room < Math.min(copy.length - offset, windowBytes / 2)) {
        await new Promise<void>((resolve) => this.#waitingWriters.push(resolve));
        continue;
      }
      const part = copy.subarray(offset, offset + Math.min(room, this.#pieceBytes));
      offset += part.length;
      this.#used += part.length;
      this.#context.sent(part, this);
      this.#lastAt = this.#route.send(part.length, this.#lastAt, () => {
        this.#context.arrived(part.length);
        this.#see();
        this.#arrived.push(part);
        this.#wakeReader?.();
      });
    }
    const failure = this.#failure ?? this.#stopped;
    if (failure !== undefined) throw failure;
  }

  finish(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#hasFinished) return;
    this.#hasFinished = true;
    this.#lastAt = this.#route.send(0, this.#lastAt, () => {
      this.#see();
      this.#hasEnded = true;
      this.#wakeReader?.();
    });
  }

  async read(bytesMax: number): Promise<Uint8Array | undefined> {
    while (true) {
      const part = this.#arrived.shift();
      if (part !== undefined) return this.#split(part, bytesMax);
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  /** A transport owes nobody whole messages. */
  #split(part: Uint8Array, bytesMax: number): Uint8Array {
    const { random } = this.#context;
    const most = Math.min(part.length, bytesMax);
    const size = random.chance(20) ? 1 + random.below(most) : most;
    if (size < part.length) this.#arrived.unshift(part.subarray(size));
    this.#used -= size;
    this.#wakeWriters();
    return part.slice(0, size);
  }

  /** By the reader; the writer hears of it. */
  stop(code: number): void {
    this.#arrived = [];
    this.#hasEnded = true;
    this.#wakeReader?.();
    this.#stopped = new Error(`the reader stopped the stream (code ${code})`);
    this.#wakeWriters();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeReader?.();
    this.#wakeWriters();
  }

  #see(): void {
    if (!this.#isSeen) this.#onFirst();
    this.#isSeen = true;
  }

  #wakeWriters(): void {
    for (const wake of this.#waitingWriters.splice(0)) wake();
  }
}

function toStream(outgoing: Pipe, incoming: Pipe): ByteStream {
  return {
    write: (bytes) => outgoing.write(bytes),
    read: (bytesMax) => incoming.read(bytesMax),
    finish: async () => outgoing.finish(),
    stop: async (code) => incoming.stop(code),
  };
}

export class MemoryLink implements Link {
  readonly remoteId: EndpointId;
  readonly alpn: string;
  readonly direction: "outgoing" | "incoming";
  readonly ended: Promise<LinkEnd>;
  readonly remoteAddress: string;
  readonly #context: PipeContext;
  readonly #route: Route;
  readonly #streams = new Mailbox<ByteStream>();
  readonly #pipes = new Set<Pipe>();
  #other: MemoryLink | undefined;
  #end: (end: LinkEnd) => void = () => undefined;
  #isDead = false;
  #cancelIdle: CancelTimer | undefined;
  #sentBytes = 0;
  #heardBytes = 0;
  /** Since when nothing comes through; keep-alives do before. */
  #deafSince: number | undefined;

  private constructor(
    context: LinkContext,
    side: { remoteId: EndpointId; remoteAddress: string; direction: "outgoing" | "incoming" },
    alpn: string,
  ) {
    this.#context = {
      ...context,
      sent: (part, stream) => {
        this.#sentBytes += part.length;
        context.sent(part, stream, side.remoteId);
      },
      arrived: (bytes) => {
        if (this.#other !== undefined) this.#other.#heardBytes += bytes;
        this.#heardBytes += ACK_BYTES;
      },
    };
    this.remoteId = side.remoteId;
    this.remoteAddress = side.remoteAddress;
    this.direction = side.direction;
    this.alpn = alpn;
    this.#route = new Route(context);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  static pair(
    context: LinkContext,
    ends: {
      dialer: { id: EndpointId; address: string };
      listener: { id: EndpointId; address: string };
    },
    alpn: string,
  ): { outgoing: MemoryLink; incoming: MemoryLink } {
    const towards = ({ id, address }: { id: EndpointId; address: string }) => ({
      remoteId: id,
      remoteAddress: address,
    });
    const out = { ...towards(ends.listener), direction: "outgoing" } as const;
    const back = { ...towards(ends.dialer), direction: "incoming" } as const;
    const outgoing = new MemoryLink(context, out, alpn);
    const incoming = new MemoryLink(context, back, alpn);
    outgoing.#other = incoming;
    incoming.#other = outgoing;
    return { outgoing, incoming };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  async openStream(): Promise<ByteStream> {
    const other = this.#other;
    if (this.#isDead || other === undefined) throw new Error("the link is closed");
    const here: { stream?: ByteStream } = {};
    const outgoing = new Pipe(this.#context, this.#route, () => {
      if (here.stream !== undefined) other.#streams.put(here.stream);
    });
    const incoming = new Pipe(other.#context, other.#route, () => undefined);
    here.stream = toStream(incoming, outgoing);
    for (const pipe of [outgoing, incoming]) {
      this.#pipes.add(pipe);
      other.#pipes.add(pipe);
    }
    return toStream(outgoing, incoming);
  }

  acceptStream(): Promise<ByteStream | undefined> {
    return this.#streams.take();
  }

  close(code: number, reason: string): void {
    if (this.#isDead) return;
    this.#die({ by: "us", code, reason });
    const other = this.#other;
    // A cut swallows the news; the other side then finds out by hearing nothing.
    if (this.#context.isCut()) return;
    const { clock, path } = this.#context;
    if (other === undefined || this.#route.isStranded) return;
    clock.after(path.latencyMs, () => other.#die({ by: "peer", code, reason }));
  }

  path(): LinkPath {
    const { latencyMs } = this.#context.path;
    return { kind: "direct", address: this.remoteAddress, rttMs: 2 * latencyMs };
  }

  get #keepAlives(): number {
    return Math.floor((this.#deafSince ?? this.#context.clock.monotonic()) / KEEP_ALIVE_MS);
  }

  traffic(): { sentBytes: number; receivedBytes: number } {
    return {
      sentBytes: this.#sentBytes,
      receivedBytes: this.#heardBytes + ACK_BYTES * this.#keepAlives,
    };
  }

  /** The other side is silent from now on: its process died, or the path was cut. */
  lose(): void {
    const { clock, random, path } = this.#context;
    this.#cancelIdle?.();
    this.#deafSince ??= clock.monotonic();
    const patienceMs = path.idleMs + random.below(500);
    this.#cancelIdle = clock.after(patienceMs, () =>
      this.#die({ by: "transport", code: undefined, reason: "timed out" }),
    );
  }

  /** What is sent from here on arrives nowhere, and the transport goes on hoping. */
  strand(): void {
    this.#deafSince ??= this.#context.clock.monotonic();
    this.#route.strand();
  }

  /** The path works again. */
  regain(): void {
    this.#cancelIdle?.();
    this.#deafSince = undefined;
    if (this.#isDead) return;
    if (this.#other?.isDead === true) {
      // The other side answers that it knows no such connection.
      const { clock, path } = this.#context;
      const end = { by: "transport", code: undefined, reason: "reset by peer" } as const;
      clock.after(2 * path.latencyMs, () => this.#die(end));
    } else this.#route.resume();
  }

  /** This side's process is gone: nothing is told to anybody. */
  vanish(): void {
    this.#die({ by: "transport", code: undefined, reason: "the process died" });
    this.#other?.lose();
  }

  #die(end: LinkEnd): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#cancelIdle?.();
    this.#route.drop();
    this.#streams.close();
    const told = end.reason === "" ? `closed by ${end.by}` : end.reason;
    // Both ends of a stream fail for this side; the other side's end follows with its own news.
    for (const pipe of this.#pipes) pipe.fail(new Error(`connection lost: ${told}`));
    this.#end(end);
  }
}
