// The stamps of the changes in a guest's Automerge document. What a node writes for a guest says its stamp in
// the change's message; what the guest wrote itself gets one from the bytes alone, so that every node that reads
// them, whenever and from whomever, finds the same.
//
//   message = "peat1 " n " " start [ " " life ] [ " whole" ]      life only when it is not 0
//   whole   = the stamp is that of a replacement: it is the floor, and what is older of the document is gone
//   foreign = (max(the greatest n of all it depends on + 1, its time), its actor), in the life of what it depends on
import { fromHex, toHex } from "../base/bytes.ts";
import { compareStamps, type Stamp, type StartId, toStartId, ZERO_STAMP } from "./stamp.ts";
import { FOREIGN_LIFE_MAX, FOREIGN_N_MAX } from "./state-checks.ts";

/** What Automerge tells of a change without its operations. */
export interface ChangeMeta {
  readonly actor: string;
  readonly startOp: number;
  readonly maxOp: number;
  /** Seconds since the Unix epoch, by the clock of the writer; 0 of most. */
  readonly time: number;
  readonly message: string | null;
  readonly deps: readonly string[];
  readonly hash: string;
}

export interface ChangeMark {
  readonly stamp: Stamp;
  /** The life of the document that it belongs to. */
  readonly life: number;
  /** Written by a node for the guest, from a state: its stamp is somebody's write. */
  readonly isOurs: boolean;
  /** Its stamp is that of a replacement of the whole document. */
  readonly isFloor: boolean;
  /** The greatest n of this change and all that it depends on. */
  readonly reach: number;
}

const MESSAGE = /^peat1 (0|[1-9]\d{0,15}) ([0-9a-f]{32})(?: ([1-9]\d{0,9}))?( whole)?$/;
/** A clock beyond the year 2200 is none: it tells something else than seconds, or nothing. */
const TIME_SECS_MAX = 7_258_118_400;
const ACTOR_DIGITS = 32;

/** What a message of ours tells of its change. */
export type ToldStamp = Pick<ChangeMark, "stamp" | "life" | "isFloor">;

export function printStampMessage({ stamp: { n, start }, life, isFloor }: ToldStamp): string {
  const parts = ["peat1", String(n), start];
  if (life !== 0) parts.push(String(life));
  if (isFloor) parts.push("whole");
  return parts.join(" ");
}

/** Undefined for anything that printStampMessage does not print. */
export function parseStampMessage(message: string | null): ToldStamp | undefined {
  const match = MESSAGE.exec(message ?? "");
  if (match === null) return undefined;
  const n = Number(match[1]);
  const life = Number(match[3] ?? 0);
  if (n > FOREIGN_N_MAX || life > FOREIGN_LIFE_MAX || life % 2 === 1) return undefined;
  const isFloor = match[4] !== undefined;
  return { stamp: { n, start: match[2] as StartId }, life, isFloor };
}

/** An actor is any number of bytes; a stamp has 16 for it. */
export function startOfActor(actor: string): StartId {
  if (actor.length === ACTOR_DIGITS) return actor as StartId;
  const digest = new Bun.CryptoHasher("sha256").update(fromHex(actor)).digest();
  return toStartId(digest.subarray(0, 16));
}

/** An actor for what this process start writes for one guest into one life of one document, and for nothing else. */
export function guestActor(of: {
  readonly start: StartId;
  readonly guest: string;
  readonly key: string;
  readonly life: number;
  /** How often this process start has lost what it wrote there. */
  readonly losses: number;
}): StartId {
  const text = JSON.stringify(["guest", of.start, of.guest, of.key, of.life, of.losses]);
  return toHex(new Bun.CryptoHasher("sha256").update(text).digest().subarray(0, 16)) as StartId;
}

/** Marks of all changes of one document. */
export class ChangeMarks {
  readonly #byHash = new Map<string, ChangeMark>();
  readonly #byActor = new Map<string, { readonly maxOp: number; readonly mark: ChangeMark }[]>();
  #life = 0;
  #reach = 0;
  #floor = ZERO_STAMP;

  /** `changes` in an order in which each follows what it depends on, as Automerge lists them. */
  constructor(changes: readonly ChangeMeta[]) {
    for (const change of changes) {
      const mark = this.#markOf(change);
      this.#byHash.set(change.hash, mark);
      if (mark.life > this.#life) this.#floor = ZERO_STAMP;
      this.#life = Math.max(this.#life, mark.life);
      const isHigher = compareStamps(mark.stamp, this.#floor) > 0;
      if (mark.isFloor && isHigher && mark.life === this.#life) this.#floor = mark.stamp;
      this.#reach = Math.max(this.#reach, mark.reach);
      const list = this.#byActor.get(change.actor);
      const place = { maxOp: change.maxOp, mark };
      if (list === undefined) this.#byActor.set(change.actor, [place]);
      else list.push(place);
    }
  }

  /** The newest life that any change belongs to. */
  get life(): number {
    return this.#life;
  }

  /** The greatest n of all changes: what is written on top of them is later. */
  get reach(): number {
    return this.#reach;
  }

  /** Of the newest replacement of the newest life; ZERO_STAMP without any. */
  get floor(): Stamp {
    return this.#floor;
  }

  ofChange(hash: string): ChangeMark | undefined {
    return this.#byHash.get(hash);
  }

  /** Of the change that holds an operation, `counter@actor`. */
  ofOperation(id: string): ChangeMark | undefined {
    const at = id.indexOf("@");
    const counter = Number(id.slice(0, at));
    const list = this.#byActor.get(id.slice(at + 1)) ?? [];
    // An actor's changes follow each other: the first that reaches the counter holds it.
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle]?.maxOp ?? 0) < counter) low = middle + 1;
      else high = middle;
    }
    return list[low]?.mark;
  }

  #markOf(change: ChangeMeta): ChangeMark {
    let [reach, life] = [0, 0];
    for (const hash of change.deps) {
      const dependency = this.#byHash.get(hash);
      reach = Math.max(reach, dependency?.reach ?? 0);
      life = Math.max(life, dependency?.life ?? 0);
    }
    const told = parseStampMessage(change.message);
    if (told !== undefined) {
      return { ...told, isOurs: true, reach: Math.max(reach, told.stamp.n) };
    }
    const isClock = change.time > 0 && change.time <= TIME_SECS_MAX;
    const n = Math.max(reach + 1, isClock ? Math.floor(change.time) * 1000 * 1024 : 0);
    const stamp = { n, start: startOfActor(change.actor) };
    return { stamp, life, isOurs: false, isFloor: false, reach: n };
  }
}
