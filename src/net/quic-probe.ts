// Whether a QUIC endpoint answers at an address, without an identity and without a connection: a packet of a version
// that nobody has is answered by the list of versions (RFC 9000, sections 6 and 17.2.1).
//
//   sent     0xc0 || version 0x?a?a?a?a || u8 8 || to[8] || u8 8 || from[8] || zeros up to 1200 bytes
//   answer   0x80 set || version 0 || u8 8 || from[8] || u8 8 || to[8] || versions
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { equalBytes } from "../base/bytes.ts";
import { systemCode } from "../base/faults.ts";
import type { HostPort } from "../identity/peer.ts";

/** A server need not answer shorter ones (section 14.1). */
const PACKET_BYTES = 1200;
const LONG_HEADER = 0xc0;
/** Of the pattern that is reserved for asking (section 15). */
const VERSION_ASKED = 0x1a2a_3a4a;
const ID_BYTES = 8;
/** Packets get lost: it is sent again after so long each time, from the first one on. */
const SEND_AT_MS = [0, 250, 750, 1_500];

export type ProbeAnswer =
  | { readonly kind: "answers"; readonly rttMs: number }
  /** Nothing came: nobody there, or a filter on the way. */
  | { readonly kind: "silent" }
  /** The machine is there and says that nobody listens on the port. */
  | { readonly kind: "refused" }
  /** It could not even be sent. */
  | { readonly kind: "unsent"; readonly cause: string };

interface Ids {
  readonly to: Uint8Array;
  readonly from: Uint8Array;
}

export function probePacket({ to, from }: Ids): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  packet[0] = LONG_HEADER;
  new DataView(packet.buffer).setUint32(1, VERSION_ASKED);
  packet[5] = ID_BYTES;
  packet.set(to, 6);
  packet[6 + ID_BYTES] = ID_BYTES;
  packet.set(from, 7 + ID_BYTES);
  return packet;
}

/** Whether it is the answer to the packet with these ids; whoever did not see it can't make one. */
export function isVersionNegotiation(packet: Uint8Array, { to, from }: Ids): boolean {
  const headerBytes = 7 + 2 * ID_BYTES;
  const versionsBytes = packet.length - headerBytes;
  if (versionsBytes < 4 || versionsBytes % 4 !== 0) return false;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  return (
    (view.getUint8(0) & 0x80) !== 0 &&
    view.getUint32(1) === 0 &&
    view.getUint8(5) === ID_BYTES &&
    equalBytes(packet.subarray(6, 6 + ID_BYTES), from) &&
    view.getUint8(6 + ID_BYTES) === ID_BYTES &&
    equalBytes(packet.subarray(7 + ID_BYTES, headerBytes), to)
  );
}

/** `host` is an IP address. Takes `withinMs` at most; never rejects. */
export function probeQuic({ host, port }: HostPort, withinMs: number): Promise<ProbeAnswer> {
  const ids = {
    to: crypto.getRandomValues(new Uint8Array(ID_BYTES)),
    from: crypto.getRandomValues(new Uint8Array(ID_BYTES)),
  };
  const packet = probePacket(ids);
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  const timers: NodeJS.Timeout[] = [];
  const startMs = performance.now();
  const answer = new Promise<ProbeAnswer>((resolve) => {
    socket.on("message", (bytes) => {
      if (!isVersionNegotiation(bytes, ids)) return;
      resolve({ kind: "answers", rttMs: performance.now() - startMs });
    });
    socket.on("error", (error) => resolve(failureOf(error)));
    // A connected socket hears of a port on which nobody listens.
    socket.connect(port, host, () => {
      for (const atMs of SEND_AT_MS.filter((ms) => ms < withinMs)) {
        timers.push(setTimeout(() => send(socket, packet, resolve), atMs));
      }
    });
    timers.push(setTimeout(() => resolve({ kind: "silent" }), withinMs));
  });
  return answer.finally(() => {
    for (const timer of timers) clearTimeout(timer);
    socket.close();
  });
}

function send(socket: Socket, packet: Uint8Array, resolve: (answer: ProbeAnswer) => void): void {
  try {
    socket.send(packet, (error) => {
      if (error !== null) resolve(failureOf(error));
    });
  } catch (error) {
    // Bun calls a socket connected whose connect has failed.
    resolve(error instanceof Error ? failureOf(error) : { kind: "unsent", cause: String(error) });
  }
}

function failureOf(error: Error): ProbeAnswer {
  const code = systemCode(error);
  if (code === "ECONNREFUSED") return { kind: "refused" };
  return { kind: "unsent", cause: code === "" ? error.message : code };
}
