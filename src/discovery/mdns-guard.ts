// What stands between the network and the DNS library: packets that are too large, too many or from
// elsewhere are dropped before they cost anything, and questions are answered at a bounded rate.
import { type DnsQuestion, type DnsRecord, SERVICE_TYPE } from "./mdns-service.ts";

/** RFC 6762 §17. */
const PACKET_BYTES_MAX = 9000;
const HEADER_BYTES = 12;
/** Records and questions that one packet may announce; each costs time to decode. */
const ENTRIES_MAX = 512;
/** A packet costs one, and one more per KiB. */
const WINDOW_MS = 10_000;
const COST_MAX = 2000;
const COST_PER_SOURCE_MAX = 300;
const SOURCES_MAX = 1024;
/** No record is multicast again within this time (RFC 6762 §6). */
const ANSWER_INTERVAL_MS = 1000;
const QUESTIONS_MAX = 512;

/** Drops floods: counts what each source sent in windows of ten seconds. */
export class PacketGuard {
  #windowEndMs = 0;
  #cost = 0;
  readonly #costBySource = new Map<string, number>();

  /** Whether a packet is worth decoding. */
  admits(bytes: Uint8Array, source: string, nowMs: number): boolean {
    if (bytes.length < HEADER_BYTES || bytes.length > PACKET_BYTES_MAX) return false;
    if (announcedEntries(bytes) > ENTRIES_MAX) return false;
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + WINDOW_MS;
      this.#cost = 0;
      this.#costBySource.clear();
    }
    const cost = 1 + Math.floor(bytes.length / 1024);
    // Sources beyond what is counted share one place.
    const place =
      this.#costBySource.has(source) || this.#costBySource.size < SOURCES_MAX ? source : "";
    const ofSource = (this.#costBySource.get(place) ?? 0) + cost;
    if (ofSource > COST_PER_SOURCE_MAX || this.#cost + cost > COST_MAX) return false;
    this.#cost += cost;
    this.#costBySource.set(place, ofSource);
    return true;
  }
}

function announcedEntries(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  return view.getUint16(4) + view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
}

/** Chooses which questions of the network are answered. */
export class AnswerGuard {
  readonly #ownNames: ReadonlySet<string>;
  readonly #instance: string;
  readonly #answeredMs = new Map<string, number>();

  /** `records`: what there is to answer with; `instance`: the service among them. */
  constructor(records: readonly DnsRecord[], instance: string) {
    this.#ownNames = new Set(records.map((record) => record.name.toLowerCase()));
    this.#instance = instance;
  }

  /** Questions about us that were not answered just now, each once. */
  admits(
    questions: readonly DnsQuestion[],
    knownAnswers: readonly DnsRecord[],
    nowMs: number,
  ): DnsQuestion[] {
    const asked = questions.slice(0, QUESTIONS_MAX).filter((question) => {
      if (!this.#ownNames.has(question.name.toLowerCase())) return false;
      if (question.name.toLowerCase() === SERVICE_TYPE && this.#isKnown(knownAnswers)) return false;
      const key = `${question.type} ${question.name.toLowerCase()}`;
      if (nowMs - (this.#answeredMs.get(key) ?? -Infinity) < ANSWER_INTERVAL_MS) return false;
      // Our own names times the types that exist: the map can't grow beyond that.
      this.#answeredMs.set(key, nowMs);
      return true;
    });
    return asked.map(({ name, type }) => ({ name, type }));
  }

  /** Who asks may say what it knows already (RFC 6762 §7.1). */
  #isKnown(knownAnswers: readonly DnsRecord[]): boolean {
    return knownAnswers
      .slice(0, QUESTIONS_MAX)
      .some((answer) => answer.type === "PTR" && answer.data === this.#instance && isFresh(answer));
  }
}

function isFresh({ ttl }: DnsRecord): boolean {
  return ttl !== undefined && ttl > 4500 / 2;
}
