// One file, fetched from one sender into a partial file that may have some of it: whole groups in their order, each
// verified before it is written, so that what is there can be built on after any interruption.
import type { FileHandle } from "node:fs/promises";
import { equalBytes, fromHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Answer, Asker } from "./asker.ts";
import { GROUP_BYTES, HASH_BYTES, hashAt, SECTION_GROUPS, type Shape } from "./content-tree.ts";
import { EvenWriter, readAt } from "./file-bytes.ts";
import type { Garbage } from "./garbage.ts";
import { Pace } from "./pace.ts";

/** corrupt: what came is not what was announced; the others as Answer. */
export type FetchOutcome = "done" | "stopped" | "corrupt" | "gone" | "unreadable" | "lost";

export interface FetchOptions {
  readonly asker: Pick<Asker, "ask">;
  readonly clock: Clock;
  readonly garbage: Garbage;
  /** 64 hex digits. */
  readonly hash: string;
  readonly shape: Shape;
  readonly partial: FileHandle;
  /** So much of it was verified before and needs no second look. */
  readonly verifiedBytes: number;
  readonly signal: AbortSignal;
  /** Bytes that are verified and written. */
  readonly progressed: (bytes: number) => void;
}

class FetchEnd extends Error {
  readonly outcome: FetchOutcome;

  constructor(outcome: FetchOutcome) {
    super(outcome);
    this.outcome = outcome;
  }
}

function bytesOf(answer: Answer): Uint8Array {
  if (answer.kind !== "bytes") throw new FetchEnd(answer.kind);
  return answer.bytes;
}

/** A piece of a group that has been asked for. */
interface Piece {
  readonly length: number;
  readonly answer: Promise<Answer>;
}

class Fetch {
  readonly #options: FetchOptions;
  readonly #hash: Uint8Array;
  readonly #pace: Pace;
  readonly #pieces: Piece[] = [];
  readonly #buffer = new Uint8Array(GROUP_BYTES);
  /** What is asked for next. */
  #next = { group: 0, offset: 0 };
  #sections: Uint8Array;
  #stored = 0;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#hash = fromHex(options.hash);
    this.#sections = this.#hash;
    this.#pace = new Pace(options.clock);
  }

  async run(): Promise<void> {
    const { shape, partial } = this.#options;
    this.#stored = Math.floor((await partial.stat()).size / GROUP_BYTES);
    if (shape.sections > 1) {
      this.#sections = await this.#list("sections", shape.sections);
      if (!shape.areSections(this.#sections, this.#hash)) throw new FetchEnd("corrupt");
    }
    const writer = new EvenWriter(partial);
    for (let section = 0; section < shape.sections; section += 1) {
      await this.#section(section, writer);
    }
    // What may have been there beyond the end.
    await partial.truncate(shape.size);
    await writer.sync();
  }

  async #list(what: "sections" | "groups", count: number, index = 0): Promise<Uint8Array> {
    const { asker, hash } = this.#options;
    const length = count * HASH_BYTES;
    return bytesOf(await asker.ask({ hash, what, index, offset: 0, length }));
  }

  async #section(section: number, start: EvenWriter): Promise<void> {
    const { shape, signal, clock, garbage, progressed } = this.#options;
    const count = shape.sectionGroups(section);
    const hashes = await this.#list("groups", count, section);
    if (!shape.areGroups(hashes, section, hashAt(this.#sections, section))) {
      throw new FetchEnd("corrupt");
    }
    const first = section * SECTION_GROUPS;
    for (let group = first; group < first + count; group += 1) {
      if (signal.aborted) throw new FetchEnd("stopped");
      const hash = hashAt(hashes, group - first);
      if (!(await this.#isStored(group, hash))) await this.#receive(group, hash, start);
      garbage.passed(shape.groupBytes(group));
      progressed(group * GROUP_BYTES + shape.groupBytes(group));
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
  }

  /** Whether the partial file has the group; the first that it has not is the last that is looked for. */
  async #isStored(group: number, hash: Uint8Array): Promise<boolean> {
    if (group >= this.#stored) return false;
    const { shape, partial, verifiedBytes } = this.#options;
    if ((group + 1) * GROUP_BYTES <= verifiedBytes) return true;
    const room = this.#buffer.subarray(0, shape.groupBytes(group));
    const bytes = await readAt(partial, room, group * GROUP_BYTES);
    if (bytes.length === room.length && equalBytes(shape.hashGroup(bytes, group), hash)) {
      return true;
    }
    this.#stored = group;
    return false;
  }

  async #receive(group: number, hash: Uint8Array, writer: EvenWriter): Promise<void> {
    const { shape } = this.#options;
    if (this.#pieces.length === 0) this.#next = { group, offset: 0 };
    writer.moveTo(group * GROUP_BYTES);
    const size = shape.groupBytes(group);
    for (let filled = 0; filled < size; ) {
      this.#askMore();
      const piece = this.#pieces.shift();
      if (piece === undefined) throw new FetchEnd("lost");
      const answer = await piece.answer;
      const bytes = bytesOf(answer);
      if (bytes.length !== piece.length) throw new FetchEnd("corrupt");
      if (answer.kind === "bytes") this.#pace.answered(bytes.length, answer.lagMs);
      this.#buffer.set(bytes, filled);
      filled += bytes.length;
    }
    const bytes = this.#buffer.subarray(0, size);
    if (!equalBytes(shape.hashGroup(bytes, group), hash)) throw new FetchEnd("corrupt");
    await writer.write(bytes);
  }

  #askMore(): void {
    const { shape, asker, hash } = this.#options;
    while (this.#pace.hasRoom && this.#next.group < shape.groups) {
      const { group: index, offset } = this.#next;
      const left = shape.groupBytes(index) - offset;
      const length = Math.min(left, this.#pace.pieceBytes);
      const answer = asker.ask({ hash, what: "content", index, offset, length });
      this.#pieces.push({ length, answer });
      this.#pace.asked(length);
      this.#next =
        length < left ? { group: index, offset: offset + length } : { group: index + 1, offset: 0 };
    }
  }
}

/** The partial file is whole and on the disk when the outcome is "done". Rejects with the system's errors. */
export async function fetchContent(options: FetchOptions): Promise<FetchOutcome> {
  try {
    await new Fetch(options).run();
    return "done";
  } catch (error) {
    if (error instanceof FetchEnd) return error.outcome;
    throw error;
  }
}
