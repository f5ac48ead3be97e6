// Is this peer of our formation? Hello out, hello in, verdict. Nothing else is read before it.
//
// Outgoing: we dialled an id that derives from the secret, so the handshake itself proved it. Incoming: the
// peer names itself, and its proved id must derive from that name. (Any holder of the secret can take any name.)
import { type Clock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import type { Formation } from "../identity/formation.ts";
import { type NodeName, parseNodeName } from "../identity/peer.ts";
import { encodeFrame } from "../wire/frame.ts";
import {
  decodeHello,
  encodeHello,
  FRAME_HELLO_TYPE,
  HELLO_BYTES_MAX,
  type Hello,
} from "../wire/hello.ts";
import type { ByteStream, Link } from "./link.ts";

/** Application close codes; 1 and its words are the older system's. */
export const CLOSE = {
  normal: { code: 0, reason: "" },
  authFailed: { code: 1, reason: "formation auth failed" },
  duplicateName: { code: 3, reason: "duplicate name" },
  protocol: { code: 4, reason: "protocol violation" },
  superseded: { code: 5, reason: "another connection stays" },
  stalled: { code: 6, reason: "nothing was read for too long" },
  rulesChanged: { code: 0, reason: "the rules of a collection have changed" },
  stopped: { code: 7, reason: "sync is stopped here" },
  unwanted: { code: 0, reason: "not wanted here for now" },
} as const;

/** How long a stranger may take to say who it is. */
const HELLO_WITHIN_MS = 10_000;
/** The end of a stream and that of its link come one after the other. */
const LAST_WORDS_MS = 200;
const REASON_CHARS_MAX = 200;
/** u16 key length (0), u8 type, u32 payload length. */
const HEADER_BYTES = 7;

/** A member: its stream is past the hello, ready for frames. */
export interface Member {
  readonly link: Link;
  readonly stream: ByteStream;
  readonly name: NodeName;
  readonly hello: Hello;
  /** Tag of the secret by which it is known. */
  readonly tag: string;
}

const LATE = Symbol("late");

/** What a stranger has to say or begin. Fault `peer_refused` when it does not within 10 s. */
export async function fromStranger<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const said = await within(clock, HELLO_WITHIN_MS, work, LATE);
  if (said !== LATE) return said;
  throw new Fault("peer_refused", `said nothing for ${HELLO_WITHIN_MS / 1000} s`);
}

/** Closes the link and throws Fault `peer_refused` with the reason unless the peer is a member. */
export async function greet(
  link: Link,
  own: Hello,
  context: { formation: Formation; clock: Clock },
): Promise<Member> {
  try {
    return await fromStranger(context.clock, exchange(link, own, context.formation));
  } catch (error) {
    const isCut = !(error instanceof Fault) || error.details["isCut"] === true;
    const told = isCut ? await closedByPeer(link, context.clock) : undefined;
    link.close(CLOSE.authFailed.code, CLOSE.authFailed.reason);
    if (told !== undefined) throw told;
    if (error instanceof Fault && error.code === "peer_refused") throw error;
    throw new Fault("peer_refused", messageOf(error), {}, error);
  }
}

/** The stream has failed; a peer that has turned us away has mostly said why. */
async function closedByPeer(link: Link, clock: Clock): Promise<Fault | undefined> {
  const end = await within(clock, LAST_WORDS_MS, link.ended, undefined);
  if (end?.by !== "peer" || end.reason === "") return undefined;
  const closedWith = end.reason.slice(0, REASON_CHARS_MAX);
  return new Fault("peer_refused", `it turned us away: ${closedWith}`, { closedWith });
}

async function exchange(link: Link, own: Hello, formation: Formation): Promise<Member> {
  const greeting = encodeFrame({ key: "", type: FRAME_HELLO_TYPE, payload: encodeHello(own) });
  const isOutgoing = link.direction === "outgoing";
  const stream = isOutgoing ? await link.openStream() : await link.acceptStream();
  if (stream === undefined) {
    const isElsewhere = (await link.ended).code === CLOSE.superseded.code;
    const why = isElsewhere ? "was connected already" : "left without a word";
    throw new Fault("peer_refused", why, { isElsewhere });
  }
  refuseMoreStreams(link);
  if (isOutgoing) await stream.write(greeting);
  const hello = await readHello(stream);
  const name = parseNodeName(hello.name);
  const tag = formation.prove(name, link.remoteId);
  if (tag === undefined) {
    throw new Fault("peer_refused", `calls itself ${name}, but its id is of another secret`);
  }
  // Only a member hears who we are.
  if (!isOutgoing) await stream.write(greeting);
  return { link, stream, name, hello, tag };
}

/** What is sent on streams that nobody reads would stay in memory: there is one, and that is all. */
function refuseMoreStreams(link: Link): void {
  void link.acceptStream().then((more) => {
    if (more !== undefined) link.close(CLOSE.protocol.code, CLOSE.protocol.reason);
  });
}

async function readHello(stream: ByteStream): Promise<Hello> {
  const header = await readExactly(stream, HEADER_BYTES);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const payloadBytes = view.getUint32(3);
  const isHello = view.getUint16(0) === 0 && view.getUint8(2) === FRAME_HELLO_TYPE;
  if (!isHello || payloadBytes > HELLO_BYTES_MAX) {
    throw new Fault("peer_refused", "began with something else than a hello");
  }
  return decodeHello(await readExactly(stream, payloadBytes));
}

async function readExactly(stream: ByteStream, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let filled = 0;
  while (filled < count) {
    const part = await stream.read(count - filled);
    if (part === undefined)
      throw new Fault("peer_refused", "left in the middle of its hello", { isCut: true });
    bytes.set(part, filled);
    filled += part.length;
  }
  return bytes;
}
