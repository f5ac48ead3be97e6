// One stream between receiver and sender: what either takes from the other, and what ends it.
import { describe, expect, test } from "bun:test";
import { answerAsks } from "../../../src/attachments/answering.ts";
import { Asker } from "../../../src/attachments/asker.ts";
import { Garbage } from "../../../src/attachments/garbage.ts";
import { ByteReader } from "../../../src/base/bytes.ts";
import { systemClock } from "../../../src/base/clock.ts";
import type { ByteStream } from "../../../src/net/link.ts";
import {
  type AttachmentMessage,
  decodeAttachment,
  encodeAttachment,
} from "../../../src/wire/attachment.ts";
import { encodeFrame, readFrame } from "../../../src/wire/frame.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A peer that says what it is told to say, and keeps what is said to it. */
class ScriptedPeer {
  readonly heard: AttachmentMessage[] = [];
  readonly #said: Uint8Array[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;

  readonly stream: ByteStream = {
    write: async (bytes) => {
      const message = decodeAttachment(readFrame(new ByteReader(bytes)));
      if (message !== undefined) this.heard.push(message);
    },
    read: async () => {
      while (this.#said.length === 0 && !this.#isOver) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      return this.#said.shift();
    },
    finish: async () => undefined,
    stop: async () => undefined,
  };

  say(...messages: readonly (AttachmentMessage | Uint8Array)[]): void {
    for (const message of messages) {
      this.#said.push(message instanceof Uint8Array ? message : encodeAttachment(message));
    }
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }
}

const HASH = "ab".repeat(32);
const wanted = { hash: HASH, what: "content", index: 0, offset: 0, length: 4 } as const;
const bytes = Uint8Array.of(1, 2, 3, 4);

describe("a receiver", () => {
  function begin() {
    const peer = new ScriptedPeer();
    const clock = new VirtualClock();
    const ends: unknown[] = [];
    const asker = new Asker(peer.stream, clock, (cause) => ends.push(cause));
    return { peer, clock, ends, asker };
  }

  test("takes answers in the order of its asks, and refusals", async () => {
    const { peer, asker, ends } = begin();
    const asks = [asker.ask(wanted), asker.ask(wanted), asker.ask(wanted)];
    peer.say(
      { type: "answer", number: 1, bytes },
      { type: "refusal", number: 2, why: "gone" },
      { type: "refusal", number: 3, why: "unreadable" },
    );
    const answers = await Promise.all(asks);
    expect(answers.map(({ kind }) => kind)).toEqual(["bytes", "gone", "unreadable"]);
    expect(ends).toEqual([]);
  });

  const violations: readonly (readonly [string, AttachmentMessage | Uint8Array])[] = [
    ["an answer to another ask", { type: "answer", number: 7, bytes }],
    ["more than was asked for", { type: "answer", number: 1, bytes: new Uint8Array(5) }],
    ["an ask", { type: "ask", number: 1, ...wanted }],
    [
      "a frame that is too long",
      encodeFrame({ key: "", type: 1, payload: new Uint8Array(200_000) }),
    ],
    ["a frame with a key", encodeFrame({ key: "k", type: 0x41, payload: new Uint8Array(4) })],
  ];
  test.each(violations)("is through with a sender that sends %s", async (_, message) => {
    const { peer, asker, ends } = begin();
    const asked = asker.ask(wanted);
    peer.say(message);
    expect(await asked).toEqual({ kind: "lost" });
    expect(ends).toMatchObject([{ code: "wire_invalid" }]);
    expect(await asker.ask(wanted)).toEqual({ kind: "lost" });
  });

  test("gives up a sender that says nothing for half a minute, and no sooner", async () => {
    const { clock, asker, ends } = begin();
    const asked = asker.ask(wanted);
    await clock.advance(29_000);
    expect(ends).toEqual([]);
    await clock.advance(20_000);
    expect(await asked).toEqual({ kind: "lost" });
    expect(ends).toHaveLength(1);
  });

  test("has lost what it asked for when the stream ends", async () => {
    const { peer, asker } = begin();
    const asked = asker.ask(wanted);
    peer.end();
    expect(await asked).toEqual({ kind: "lost" });
  });
});

describe("a sender", () => {
  function begin() {
    const peer = new ScriptedPeer();
    const serving = answerAsks({
      stream: peer.stream,
      clock: systemClock,
      garbage: new Garbage(),
      open: async () => undefined,
      signal: new AbortController().signal,
    });
    return { peer, serving };
  }

  test("refuses what it has not, and goes on", async () => {
    const { peer, serving } = begin();
    peer.say({ type: "ask", number: 5, ...wanted }, { type: "ask", number: 6, ...wanted });
    peer.end();
    await serving;
    expect(peer.heard).toEqual([
      { type: "refusal", number: 5, why: "gone" },
      { type: "refusal", number: 6, why: "gone" },
    ]);
  });

  test.each<[string, AttachmentMessage | Uint8Array]>([
    ["answers", { type: "answer", number: 1, bytes }],
    [
      "sends a frame that is no ask's length",
      encodeFrame({ key: "", type: 0x40, payload: new Uint8Array(65) }),
    ],
    ["sends half an ask", encodeFrame({ key: "", type: 0x40, payload: new Uint8Array(20) })],
  ])("is through with a receiver that %s", async (_, message) => {
    const { peer, serving } = begin();
    peer.say(message);
    await expect(serving).rejects.toMatchObject({ code: "wire_invalid" });
  });
});
