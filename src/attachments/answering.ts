// The other side of one stream: asks of one receiver, answered one after another.
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { ByteStream } from "../net/link.ts";
import {
  type Ask,
  type AttachmentMessage,
  decodeAttachment,
  encodeAttachment,
} from "../wire/attachment.ts";
import { FrameDecoder } from "../wire/frame.ts";
import { GROUP_BYTES } from "./content-tree.ts";
import type { Garbage } from "./garbage.ts";
import type { StagedFile } from "./staging.ts";

const log = getLog("peat_mesh::attachments");

/** An ask has 49 bytes. */
const ASK_BYTES_MAX = 64;
const READ_BYTES_MAX = 4096;
const WRITE_BYTES_MAX = 16 * 1024;

export interface AnsweringOptions {
  readonly stream: ByteStream;
  readonly clock: Clock;
  readonly garbage: Garbage;
  /** Content that this receiver may have; undefined if there is none. */
  readonly open: (hash: string) => Promise<StagedFile | undefined>;
  readonly signal: AbortSignal;
}

/** The file that is asked for at the moment. */
class Current {
  readonly #open: AnsweringOptions["open"];
  #hash = "";
  #file: StagedFile | undefined;

  constructor(open: AnsweringOptions["open"]) {
    this.#open = open;
  }

  async of(hash: string): Promise<StagedFile | undefined> {
    if (hash === this.#hash && this.#file !== undefined) return this.#file;
    await this.close();
    this.#file = await this.#open(hash);
    this.#hash = hash;
    return this.#file;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.[Symbol.asyncDispose]();
  }
}

/** Undefined where there is nothing that could be asked for. */
function readPart(file: StagedFile, ask: Ask): Promise<Uint8Array> | undefined {
  const { shape } = file;
  switch (ask.what) {
    case "sections":
      return file.sections();
    case "groups":
      return ask.index < shape.sections ? file.groups(ask.index) : undefined;
    case "content": {
      const isInside =
        ask.index < shape.groups && ask.offset + ask.length <= shape.groupBytes(ask.index);
      if (!isInside) return undefined;
      return file.content(ask.index * GROUP_BYTES + ask.offset, ask.length);
    }
  }
}

async function answer(ask: Ask, current: Current): Promise<AttachmentMessage> {
  const { number } = ask;
  try {
    const file = await current.of(ask.hash);
    const bytes = file && readPart(file, ask);
    if (file === undefined) return { type: "refusal", number, why: "gone" };
    if (bytes === undefined) throw new Fault("wire_invalid", "a part was asked for that is none");
    return { type: "answer", number, bytes: await bytes };
  } catch (error) {
    if (error instanceof Fault) throw error;
    log.warn("Content can't be read", { hash: ask.hash, cause: messageOf(error) });
    return { type: "refusal", number, why: "unreadable" };
  }
}

/** The transport makes an object of every byte for a moment: of few at a time, memory stays what it is. */
async function writeInParts(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += WRITE_BYTES_MAX) {
    await stream.write(bytes.subarray(at, at + WRITE_BYTES_MAX));
  }
}

/** Resolves at the end of the stream; rejects when it is dead, and with Fault `wire_invalid`. */
export async function answerAsks(options: AnsweringOptions): Promise<void> {
  const { stream, clock, garbage, signal } = options;
  const decoder = new FrameDecoder({ payloadBytesMax: ASK_BYTES_MAX, keyBytesMax: 0 });
  const current = new Current(options.open);
  try {
    while (!signal.aborted) {
      const bytes = await stream.read(READ_BYTES_MAX);
      if (bytes === undefined) return;
      decoder.push(bytes);
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        const message = decodeAttachment(frame);
        if (message === undefined) continue;
        if (message.type !== "ask") throw new Fault("wire_invalid", "a receiver answers nothing");
        await writeInParts(stream, encodeAttachment(await answer(message, current)));
        garbage.passed(message.length);
        // Documents have their turn after each part.
        await new Promise<void>((resolve) => clock.soon(resolve));
        if (signal.aborted) return;
      }
    }
  } finally {
    await current.close();
  }
}
