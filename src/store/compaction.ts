// Renderings without their past: each is replaced by one change, or where a collection keeps a window of its
// history, by one change and those of the window. The documents' states stay as they are, and so does all that
// peers and readers see.
import type { Clock } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import type { Database } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import { beginRendering, encodeTip, growRendering, type Tip } from "./rendering.ts";
import type { RenderingPart, RenderingSize, StoredRendering } from "./rendering-table.ts";
import { isDamaged } from "./row.ts";
import type { StartId } from "./stamp.ts";
import { decodeState } from "./state.ts";
import { giveBackPages, Turn } from "./turns.ts";

const log = getLog("peat_mesh::storage::automerge_store");

export interface CompactorOptions {
  readonly database: Database;
  readonly policies: CollectionPolicies;
  readonly clock: Clock;
  readonly start: StartId;
}

export interface SweepOptions {
  /** Those that keep their full history are left alone. */
  readonly collections: readonly string[];
  /** Renderings that are larger than this are rewritten. */
  readonly thresholdBytes: number;
  /** Ends the sweep after the document that it is at. */
  readonly signal: AbortSignal;
}

/** Documents that were rewritten, and the bytes of their renderings. */
export interface Compacted {
  readonly count: number;
  readonly before: number;
  readonly after: number;
}

const SIZES_PER_TURN = 500;
const PARTS_PER_TURN = 100;
/** The first part is the document without its past. */
const FIRST_PART = 0;

export class Compactor {
  readonly #options: CompactorOptions;

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  /** Faults of the storage; what was rewritten by then stays so. */
  async sweep(options: SweepOptions): Promise<Compacted> {
    const turn = new Turn(this.#options.clock, options.signal);
    let whole: Compacted = { count: 0, before: 0, after: 0 };
    for (const collection of options.collections) {
      if (this.#options.policies.kindOf(collection) === "history") continue;
      const part = await this.#sweepCollection(collection, options.thresholdBytes, turn);
      whole = sum(whole, part);
      if (part.count === 0) continue;
      log.info(
        `Compacted ${part.count} documents with prefix '${collection}:': ${printSizes(part)}`,
      );
    }
    await giveBackPages(this.#options.database.renderings, turn);
    return whole;
  }

  async #sweepCollection(name: string, thresholdBytes: number, turn: Turn): Promise<Compacted> {
    const table = this.#options.database.renderings;
    let result: Compacted = { count: 0, before: 0, after: 0 };
    let after: DocumentKey | undefined;
    while (await turn.next()) {
      const sizes = table.sizes(name, after, SIZES_PER_TURN);
      for (const size of sizes.filter(({ bytes }) => bytes > thresholdBytes)) {
        if (!(await turn.next())) return result;
        const one = await this.#compact(size, turn);
        if (one === undefined) continue;
        log.debug(`Compacted document ${size.key}: ${printSizes(one)}`);
        result = sum(result, one);
      }
      after = sizes.at(-1)?.key;
      if (sizes.length < SIZES_PER_TURN) return result;
    }
    return result;
  }

  /** Undefined when the rendering has nothing to lose. */
  async #compact({ key, parts }: RenderingSize, turn: Turn): Promise<Compacted | undefined> {
    if (parts <= 1) return undefined;
    const { mode } = this.#options.policies.of(splitKey(key).collection);
    if (mode.kind !== "WindowedHistory") return this.#replace(key);
    const { clock, database } = this.#options;
    const windowStart = clock.now() - mode.windowSecs * 1000;
    const last = database.renderings.lastPartBefore(key, windowStart);
    if (last === undefined || last === FIRST_PART) return undefined;
    return await this.#cut(key, last, turn);
  }

  /** One change in place of all. */
  #replace(key: DocumentKey): Compacted | undefined {
    const { database } = this.#options;
    const row = database.get(key);
    if (row === undefined || isDamaged(row)) return undefined;
    const state = decodeState(row.state);
    // Deleted since: what renders commits drops it.
    if (state.form !== "latest") return undefined;
    const { tip, changes } = beginRendering(key, state);
    const { mode } = this.#options.policies.of(splitKey(key).collection);
    const kept = mode.kind === "WindowedHistory" ? row.state : undefined;
    const part = { at: row.writtenAt, chunks: Buffer.concat(changes), state: kept };
    const rendering = { key, tip: encodeTip(tip), bytes: part.chunks.length, parts: 1 };
    return this.#store(rendering, [part]);
  }

  #store(rendering: StoredRendering, added: readonly RenderingPart[]): Compacted | undefined {
    const table = this.#options.database.renderings;
    const before = table.find(rendering.key)?.bytes;
    if (before === undefined) return undefined;
    table.write({ updates: [{ rendering, added }], dropped: [] });
    return { count: 1, before, after: rendering.bytes };
  }

  /** One change in place of those up to the part `from`, and the later ones after it. */
  async #cut(key: DocumentKey, from: number, turn: Turn): Promise<Compacted | undefined> {
    const table = this.#options.database.renderings;
    const rebuilt = new Rebuilt(key, this.#options.start);
    let next = from;
    while (await turn.next()) {
      const parts = table.parts(key, next - 1, PARTS_PER_TURN);
      for (const part of parts) if (!rebuilt.add(part)) return this.#replace(key);
      next += parts.length;
      // Others may have been appended during the turns before; after this look, nothing comes between.
      if (parts.length === PARTS_PER_TURN) continue;
      const rendering = rebuilt.finish();
      // Dropped or begun anew meanwhile.
      if (rendering === undefined || table.find(key)?.parts !== next) return undefined;
      return this.#store(rendering, rebuilt.parts);
    }
    return undefined;
  }
}

/** A rendering that is made again from versions that were kept. */
class Rebuilt {
  readonly parts: RenderingPart[] = [];
  readonly #key: DocumentKey;
  readonly #start: StartId;
  #tip: Tip | undefined;

  constructor(key: DocumentKey, start: StartId) {
    this.#key = key;
    this.#start = start;
  }

  /** False for a part whose version was not kept (the collection had another mode then) or is of another life. */
  add({ at, state: encoded }: RenderingPart): boolean {
    const state = encoded === undefined ? undefined : decodeState(encoded);
    const isOfThisLife = state?.form === "latest" && state.life === (this.#tip ?? state).life;
    if (!isOfThisLife) return false;
    const context = { key: this.#key, start: this.#start, timeSecs: Math.floor(at / 1000) };
    const { tip, changes } =
      this.#tip === undefined
        ? beginRendering(this.#key, state)
        : growRendering(this.#tip, state, context);
    this.#tip = tip;
    this.parts.push({ at, chunks: Buffer.concat(changes), state: encoded });
    return true;
  }

  finish(): StoredRendering | undefined {
    if (this.#tip === undefined) return undefined;
    const bytes = this.parts.reduce((total, { chunks }) => total + chunks.length, 0);
    return { key: this.#key, tip: encodeTip(this.#tip), bytes, parts: this.parts.length };
  }
}

function sum(a: Compacted, b: Compacted): Compacted {
  return { count: a.count + b.count, before: a.before + b.before, after: a.after + b.after };
}

/** As the older node prints it: `245760 -> 12288 bytes (95.0% reduction)`. */
function printSizes({ before, after }: Compacted): string {
  const percent = before === 0 ? 0 : (100 * (before - after)) / before;
  return `${before} -> ${after} bytes (${percent.toFixed(1)}% reduction)`;
}
