// mDNS on one network interface. The only file that knows bonjour-service: it lends the packets and
// the answering of questions. Its browser is not used (it keeps every service it ever hears of,
// forgets none by TTL, and does not notice new addresses), nor its `publish` (it announces the
// addresses of all interfaces on each, as they were at first).
import { createSocket, type Socket } from "node:dgram";
import { Bonjour } from "bonjour-service";
import { type Clock, within } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { AnswerGuard, PacketGuard } from "./mdns-guard.ts";
import type { MdnsInterface } from "./mdns-interfaces.ts";
import type { DnsQuestion, DnsRecord } from "./mdns-service.ts";

const GROUP = "224.0.0.251";
const PORT = 5353;
const OPEN_MS_MAX = 2000;
const SEND_MS_MAX = 150;
const CLOSE_MS_MAX = 150;
/** Answers that many nodes give to one question are spread over this time (RFC 6762 §6). */
const ANSWER_DELAY_MS_MIN = 20;
const ANSWER_DELAY_MS_SPAN = 100;

interface DnsPacket {
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

interface DnsQuery {
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
}

type Done = (error?: unknown) => void;
type Answer = (packet: DnsPacket) => void;

/** What multicast-dns, inside of bonjour-service, offers; neither has types for it. */
interface MulticastDns {
  on(event: "response", run: (packet: DnsPacket, source: { address: string }) => void): void;
  on(event: "error" | "warning", run: (error: unknown) => void): void;
  on(event: "networkInterface", run: () => void): void;
  on(event: "query", run: Answer): void;
  listeners(event: "query"): Answer[];
  removeAllListeners(event: "query"): void;
  query(packet: DnsQuery, done: Done): void;
  respond(packet: { answers: readonly DnsRecord[] }, done: Done): void;
  destroy(done: Done): void;
}

/** The parts of a Bonjour object that its types hide. */
interface BonjourParts {
  readonly server: {
    readonly mdns: MulticastDns;
    register(records: readonly DnsRecord[]): void;
  };
}

export interface ChannelOptions {
  readonly link: MdnsInterface;
  /** What questions are answered with. */
  readonly records: readonly DnsRecord[];
  /** Name of the service among the records. */
  readonly instance: string;
  readonly clock: Clock;
  readonly onRecords: (records: readonly DnsRecord[], source: string) => void;
}

export class MdnsChannel {
  readonly #mdns: MulticastDns;
  readonly #clock: Clock;
  #isClosed = false;

  private constructor(mdns: MulticastDns, clock: Clock) {
    this.#mdns = mdns;
    this.#clock = clock;
  }

  /** Joins the group on one interface. Fault `address_unavailable` when that is not possible. */
  static async open(options: ChannelOptions): Promise<MdnsChannel> {
    const { link, clock } = options;
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    const { server } = openBonjour(socket, link.address);
    const channel = new MdnsChannel(server.mdns, clock);
    const joined = whenJoined(server.mdns);
    guardPackets(socket, link, clock);
    server.register(options.records);
    channel.#guardAnswers(options);
    server.mdns.on("response", (packet, source) => {
      options.onRecords([...packet.answers, ...packet.additionals], source.address);
    });
    const problem = await within(clock, OPEN_MS_MAX, joined, "it did not get ready in time");
    if (problem === undefined) return channel;
    await channel.close([]);
    throw new Fault("address_unavailable", `mDNS can't use interface ${link.name}: ${problem}`);
  }

  /** Whether the packet left; what happens to it on the way nobody knows. */
  announce(records: readonly DnsRecord[]): Promise<boolean> {
    return this.#send((done) => this.#mdns.respond({ answers: records }, done));
  }

  /** As announce(). `knownAnswers` need not be told again. */
  ask(questions: readonly DnsQuestion[], knownAnswers: readonly DnsRecord[]): Promise<boolean> {
    return this.#send((done) => this.#mdns.query({ questions, answers: knownAnswers }, done));
  }

  /** Says `farewell`, if there is any, and leaves; takes at most 300 ms. */
  async close(farewell: readonly DnsRecord[]): Promise<void> {
    if (this.#isClosed) return;
    if (farewell.length > 0) await this.announce(farewell);
    this.#isClosed = true;
    const left = new Promise<void>((resolve) => {
      try {
        this.#mdns.destroy(() => resolve());
      } catch {
        // A socket that never opened refuses to be closed, which is as good.
        resolve();
      }
    });
    await within(this.#clock, CLOSE_MS_MAX, left, undefined);
  }

  #send(start: (done: Done) => void): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    const sent = new Promise<boolean>((resolve) => {
      try {
        start((error) => resolve(error === undefined || error === null));
      } catch {
        resolve(false);
      }
    });
    return within(this.#clock, SEND_MS_MAX, sent, false);
  }

  /** Puts a guard before the library, which answers every question of every packet at once. */
  #guardAnswers({ records, instance, clock }: ChannelOptions): void {
    const guard = new AnswerGuard(records, instance);
    const answers = this.#mdns.listeners("query");
    this.#mdns.removeAllListeners("query");
    this.#mdns.on("query", (packet) => {
      const questions = guard.admits(packet.questions, packet.answers, clock.monotonic());
      if (questions.length === 0) return;
      clock.after(ANSWER_DELAY_MS_MIN + Math.random() * ANSWER_DELAY_MS_SPAN, () => {
        if (this.#isClosed) return;
        for (const answer of answers) answer({ ...packet, questions });
      });
    });
  }
}

/**
 * Bound to the group and not to an address of ours: unicast packets to this port are for others on
 * this machine (Avahi, for one), and the interface's own address would hear no multicast at all.
 */
function openBonjour(socket: Socket, address: string): BonjourParts {
  const settings = { socket, interface: address, bind: GROUP, port: PORT };
  const ignore = () => undefined;
  return new Bonjour(
    settings as ConstructorParameters<typeof Bonjour>[0],
    // An answer that could not be sent is asked for again.
    ignore,
  ) as unknown as BonjourParts;
}

/** Resolves with undefined, or with the reason why the group can't be joined. */
function whenJoined(mdns: MulticastDns): Promise<string | undefined> {
  return new Promise((resolve) => {
    mdns.on("networkInterface", () => resolve(undefined));
    // Once joined, complaints are about single packets: they change nothing here any more.
    mdns.on("error", (error) => resolve(messageOf(error)));
    mdns.on("warning", (error) => resolve(messageOf(error)));
  });
}

/** Puts a guard before the decoder, which the library has hung on the socket. */
function guardPackets(socket: Socket, link: MdnsInterface, clock: Clock): void {
  const guard = new PacketGuard();
  const decoders = socket.listeners("message");
  socket.removeAllListeners("message");
  socket.on("message", (bytes, source) => {
    // Linux gives each socket the packets of every interface on which anybody has joined.
    if (!link.isOnLink(source.address)) return;
    if (!guard.admits(bytes, source.address, clock.monotonic())) return;
    for (const decode of decoders) decode.call(socket, bytes, source);
  });
}
