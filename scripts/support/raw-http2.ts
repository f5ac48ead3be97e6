// An HTTP/2 client for measuring servers: calls of the Connect protocol as prebuilt frames, and of the answers no more
// is read than tells whether they are good. It costs a few microseconds a call, so that what is measured is the server.
// RFC 9113 for the frames, RFC 7541 for the little of HPACK that a client must write.
import type { Socket } from "bun";
import { PeatSidecar } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";

const FRAME_HEAD_BYTES = 9;
const TYPE = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
} as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
/** The server may send so much before it hears from us; what it sends is counted, not kept. */
const WINDOW_BYTES = 2 ** 30;
/** What a server takes before it says otherwise (RFC 9113, section 6.9.2). */
const FIRST_WINDOW_BYTES = 65_535;
/** `:status: 200` of HPACK's static table. */
const STATUS_OK = 0x88;

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

/** A text of fewer than 127 bytes, without Huffman. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
}

/** Header block of a call of the service; nothing of it enters a table, so it is the same for all. */
export function callHeaders(name: string, contentType: string): Buffer {
  return Buffer.concat([
    // :method POST, :scheme http; then :path, :authority, content-type, and one by its name.
    Buffer.of(0x83, 0x86, 0x04),
    text(`/${PeatSidecar.typeName}/${name}`),
    Buffer.of(0x01),
    text("localhost"),
    Buffer.of(0x0f, 0x10),
    text(contentType),
    Buffer.of(0x00),
    text("connect-protocol-version"),
    text("1"),
  ]);
}

export interface Answer {
  /** Takes what comes of the body. */
  readonly data?: (bytes: Buffer) => void;
  /** Called once: whether the status was 200 and the stream came to its end. */
  readonly done: (isGood: boolean) => void;
}

interface Waiting {
  readonly head: Buffer;
  readonly body: Buffer;
  readonly answer: Answer;
}

interface Open {
  readonly answer: Answer;
  isGood: boolean;
}

export class RawHttp2 {
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #unsent: Buffer[] = [];
  #isFlushing = false;
  #isBlocked = false;
  #nextStream = 1;
  #window = FIRST_WINDOW_BYTES;
  #streamsMax = 100;
  readonly #isHeedless: boolean;
  readonly #open = new Map<number, Open>();
  readonly #waiting: Waiting[] = [];
  /** Whether the server has ended the connection, or the way to it has. */
  isClosed = false;

  private constructor(isHeedless: boolean) {
    this.#isHeedless = isHeedless;
  }

  /** `isHeedless`: opens as many calls as it is asked for, whatever the server can bear. */
  static async connect(port: number, { isHeedless = false } = {}): Promise<RawHttp2> {
    const client = new RawHttp2(isHeedless);
    client.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, bytes) => client.#receive(bytes),
        drain: () => {
          client.#isBlocked = false;
          client.#flush();
        },
        close: () => client.#fail(),
        error: () => client.#fail(),
      },
    });
    const settings = Buffer.alloc(6);
    // SETTINGS_INITIAL_WINDOW_SIZE.
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(WINDOW_BYTES, 2);
    const more = Buffer.alloc(4);
    more.writeUInt32BE(WINDOW_BYTES);
    client.#send(PREFACE);
    client.#send(frame(TYPE.settings, 0, 0, settings));
    client.#send(frame(TYPE.windowUpdate, 0, 0, more));
    return client;
  }

  call(head: Buffer, body: Buffer, answer: Answer): void {
    if (this.isClosed) answer.done(false);
    else {
      this.#waiting.push({ head, body, answer });
      this.#begin();
    }
  }

  close(): void {
    this.#socket?.end();
  }

  #begin(): void {
    while (this.#isHeedless || this.#open.size < this.#streamsMax) {
      const [next] = this.#waiting;
      if (next === undefined || next.body.length > this.#window) return;
      this.#waiting.shift();
      const stream = this.#nextStream;
      this.#nextStream += 2;
      this.#window -= next.body.length;
      this.#open.set(stream, { answer: next.answer, isGood: false });
      this.#send(frame(TYPE.headers, FLAG.endHeaders, stream, next.head));
      this.#send(frame(TYPE.data, FLAG.endStream, stream, next.body));
    }
  }

  /** What is sent in one turn goes in one piece. */
  #send(bytes: Buffer): void {
    this.#unsent.push(bytes);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isBlocked || this.#unsent.length === 0) return;
    const bytes = this.#unsent.length === 1 ? this.#unsent[0] : Buffer.concat(this.#unsent);
    if (bytes === undefined) return;
    const taken = this.#socket?.write(bytes) ?? 0;
    this.#isBlocked = taken < bytes.length;
    this.#unsent = this.#isBlocked ? [bytes.subarray(Math.max(0, taken))] : [];
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const payload = bytes.subarray(at + FRAME_HEAD_BYTES, end);
      const [type = 0, flags = 0] = bytes.subarray(at + 3, at + 5);
      this.#take({ type, flags, stream: bytes.readUInt32BE(at + 5), payload });
      at = end;
    }
    // The socket's own buffer is used again.
    this.#rest = Buffer.from(bytes.subarray(at));
    this.#begin();
  }

  #take(received: { type: number; flags: number; stream: number; payload: Buffer }): void {
    const { type, flags, stream, payload } = received;
    const open = this.#open.get(stream);
    switch (type) {
      case TYPE.headers: {
        // A change of the table's size may stand in front.
        const first = payload.find((byte) => byte >> 5 !== 1);
        if (open !== undefined && first === STATUS_OK) open.isGood = true;
        break;
      }
      case TYPE.data:
        if (payload.length > 0) open?.answer.data?.(payload);
        break;
      case TYPE.reset:
        this.#end(stream, false);
        return;
      case TYPE.settings:
        if ((flags & FLAG.ack) === 0) this.#obey(payload);
        return;
      case TYPE.ping:
        if ((flags & FLAG.ack) === 0) this.#send(frame(TYPE.ping, FLAG.ack, 0, payload));
        return;
      case TYPE.goaway:
        this.#fail();
        return;
      case TYPE.windowUpdate:
        if (stream === 0) this.#window += payload.readUInt32BE(0);
        return;
    }
    if ((flags & FLAG.endStream) !== 0) this.#end(stream, true);
  }

  #obey(settings: Buffer): void {
    for (let at = 0; at + 6 <= settings.length; at += 6) {
      // SETTINGS_MAX_CONCURRENT_STREAMS.
      if (settings.readUInt16BE(at) === 3) this.#streamsMax = settings.readUInt32BE(at + 2);
    }
    this.#send(frame(TYPE.settings, FLAG.ack, 0, Buffer.alloc(0)));
  }

  #end(stream: number, isWhole: boolean): void {
    const open = this.#open.get(stream);
    this.#open.delete(stream);
    open?.answer.done(isWhole && open.isGood);
  }

  #fail(): void {
    this.isClosed = true;
    const answers = [...this.#open.values(), ...this.#waiting].map(({ answer }) => answer);
    this.#open.clear();
    this.#waiting.length = 0;
    for (const { done } of answers) done(false);
  }
}
