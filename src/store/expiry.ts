// Wakes the store when a document becomes too old to be served, so that readers are told of it.
import type { CancelTimer, Clock } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import type { Database } from "./database.ts";
import type { DocumentKey } from "./document-key.ts";
import { dueAt, newestIn } from "./lifetimes.ts";
import { isDamaged, type Row } from "./row.ts";
import { decodeState } from "./state.ts";
import { toStorageFault } from "./storage-fault.ts";

const log = getLog("peat_mesh::storage::ttl_manager");

/** Documents that one group of writes hides. */
const HIDDEN_PER_GROUP = 256;
/** Timers are not trusted further: the wall clock may be set meanwhile. */
const LOOK_MS_MAX = 60_000;
const RETRY_MS = 1_000;
const PAGE_ROWS = 64;

export interface ExpiryOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** Called when documents are to be hidden: the next group asks for them by take(). */
  readonly wake: () => void;
}

export class Expiry {
  readonly #options: ExpiryOptions;
  #next: number | undefined;
  #cancel: CancelTimer = () => undefined;

  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#next = options.database.due.next();
    this.#arm(0);
  }

  close(): void {
    this.#cancel();
  }

  /** Whether there may be documents that are too old and not hidden yet. */
  isDue(now: number): boolean {
    return this.#next !== undefined && this.#next <= now;
  }

  /** Documents to be hidden by the group that begins. */
  take(now: number): readonly DocumentKey[] {
    if (!this.isDue(now)) return [];
    const keys = this.#options.database.due.unhidden(now, HIDDEN_PER_GROUP);
    // The document that was due has been written or deleted since: no commit follows that would ask again.
    if (keys.length === 0) this.#look();
    return keys;
  }

  /** To be called after each commit, with what it wrote. */
  committed(rows: readonly Row[]): void {
    if (this.isDue(this.#options.clock.now())) {
      this.#look();
      return;
    }
    const sooner = rows.reduce((next, { deleted, due }) => {
      return deleted || due === undefined ? next : Math.min(next, due);
    }, this.#next ?? Number.POSITIVE_INFINITY);
    if (sooner === this.#next || sooner === Number.POSITIVE_INFINITY) return;
    this.#next = sooner;
    this.#arm(0);
  }

  #look(): void {
    this.#next = this.#options.database.due.next();
    this.#arm(0);
  }

  /** The commit failed. */
  failed(): void {
    this.#arm(RETRY_MS);
  }

  #arm(delayMsMin: number): void {
    const { clock, wake } = this.#options;
    this.#cancel();
    if (this.#next === undefined) return;
    const leftMs = Math.max(delayMsMin, this.#next - clock.now());
    this.#cancel = clock.after(Math.min(leftMs, LOOK_MS_MAX), () => {
      if (this.isDue(clock.now())) wake();
      else this.#arm(0);
    });
  }
}

/** Equal for policies that make the same of every row. */
function printOf(policies: CollectionPolicies): string {
  const names = [...policies.named(), ":"];
  const text = names.map((name) => `${name} ${policies.describe(name)}`).join("\n");
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

/** All rows fit the policies now. */
export function rememberPolicies(database: Database, policies: CollectionPolicies): void {
  database.setMeta("policies", printOf(policies));
}

/**
 * Makes the rows fit the policies that the store is opened with, if they are others than before. A disk without
 * room for that is no reason not to start: then it is done by a later one.
 */
export function applyPolicies(database: Database, policies: CollectionPolicies, now: number): void {
  if (database.meta("policies") === printOf(policies)) return;
  try {
    let page = changedRows(database, policies, 0);
    while (page.last !== undefined) {
      const rows = page.changed.map(({ row }) => row);
      if (rows.length > 0) database.write(rows, [], now);
      page = changedRows(database, policies, page.last);
    }
    rememberPolicies(database, policies);
  } catch (error) {
    const fault = toStorageFault(error, database.path);
    if (fault.code !== "storage_full") throw fault;
    log.warn("No room to apply the changed policies to stored documents", { cause: fault.message });
  }
}

interface ChangedRows {
  readonly changed: readonly { readonly before: Row; readonly row: Row }[];
  /** Number of the last row that was looked at; undefined: there was none. */
  readonly last: number | undefined;
}

/** Of the next rows after a number, those that the policies give other times. */
export function changedRows(
  database: Database,
  policies: CollectionPolicies,
  after: number,
): ChangedRows {
  const page = database.since(after, Number.MAX_SAFE_INTEGER, PAGE_ROWS);
  const changed: { before: Row; row: Row }[] = [];
  for (const before of page) {
    // Damaged ones are found again by whoever reads them; hidden ones stay so until they are dropped.
    if (isDamaged(before) || before.hidden) continue;
    const newestAt = before.newestAt === 0 ? firstTimeOf(before) : before.newestAt;
    const due = dueAt(policies, { key: before.key, isDeleted: before.deleted, newestAt });
    if (due !== before.due || newestAt !== before.newestAt) {
      changed.push({ before, row: { ...before, newestAt, due } });
    }
  }
  return { changed, last: page.at(-1)?.seq };
}

/** Of a row from before the third schema: of a history when it was committed here, which is about the same. */
function firstTimeOf({ state: bytes, writtenAt }: Row): number {
  const state = decodeState(bytes);
  return state.form === "history" ? writtenAt : newestIn(state);
}
