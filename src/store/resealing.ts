// What lies on disk in the clear, or by an earlier key, is written again as it would be written now: after
// encryption was turned on or off, or its key was changed. Documents, their order and their hashes stay as they are.
import type { Database as Sqlite } from "bun:sqlite";
import { type Clock, sleep } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { placeOf } from "./guest-table.ts";
import { chunksPlace, type RenderingTable, tipPlace, versionPlace } from "./rendering-table.ts";
import { COLUMNS, fromRaw, isDamaged, jsonPlace, type RawRow, statePlace, toRaw } from "./row.ts";
import type { Place, Seal } from "./seal.ts";
import { toStorageFault } from "./storage-fault.ts";
import { giveBackPages, Turn } from "./turns.ts";
import { isMixed, settle } from "./unlock.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** Rows in memory at a time; each may be megabytes. */
const ROWS = 8;
const STEP_MS = 5;
/** After the disk was full. */
const RETRY_MS = 60_000;

type Value = string | number | Uint8Array | null;
type Values = Readonly<Record<string, Value>>;

/** A table whose cells stand for themselves. */
interface CellTable {
  readonly name: string;
  /** Columns of its primary key. */
  readonly id: readonly string[];
  readonly cells: Readonly<Record<string, (row: Values) => Place>>;
}

const keyOf = (row: Values): string => String(row["key"]);
const partOf = (row: Values): number => Number(row["part"]);

const CELL_TABLES: readonly CellTable[] = [
  {
    name: "set_aside",
    id: ["id"],
    cells: { state: (row) => statePlace(keyOf(row)), json: (row) => jsonPlace(keyOf(row)) },
  },
  { name: "renderings", id: ["key"], cells: { tip: (row) => tipPlace(keyOf(row)) } },
  {
    name: "rendering_parts",
    id: ["key", "part"],
    cells: {
      chunks: (row) => chunksPlace(keyOf(row), partOf(row)),
      state: (row) => versionPlace(keyOf(row), partOf(row)),
    },
  },
  {
    name: "guest_histories",
    id: ["guest", "key"],
    cells: { chunks: (row) => placeOf(String(row["guest"]), keyOf(row)) },
  },
];

/** Writes some rows of a table again; false when there are no more. */
type Step = () => boolean;

export interface ResealingOptions {
  readonly sqlite: Sqlite;
  readonly seal: Seal;
  readonly path: string;
  readonly renderings: RenderingTable;
  readonly checkpoints: Checkpoints;
}

export class Resealing {
  readonly #options: ResealingOptions;
  readonly #closing = new AbortController();

  constructor(options: ResealingOptions) {
    this.#options = options;
  }

  /** Whether there is something to be written again. */
  get isDue(): boolean {
    return isMixed(this.#options.sqlite, this.#options.seal);
  }

  /** Before the file is closed. */
  close(): void {
    this.#closing.abort();
  }

  /** Until all of it is written, or `ended` aborts; another run begins anew. Faults: storage_failed, storage_unusable. */
  async run(clock: Clock, ended: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([ended, this.#closing.signal]);
    while (!signal.aborted && this.isDue) {
      try {
        await this.#rewrite(new Turn(clock, signal), clock);
      } catch (error) {
        const fault = toStorageFault(error, this.#options.path);
        if (fault.code !== "storage_full") throw fault;
        log.warn("Documents are not all written by the present key yet", { cause: fault.message });
        await sleep(clock, RETRY_MS, signal);
      }
    }
  }

  async #rewrite(turn: Turn, clock: Clock): Promise<void> {
    const { sqlite, seal, path, renderings, checkpoints } = this.#options;
    for (const step of [this.#documents(), ...CELL_TABLES.map((table) => this.#cells(table))]) {
      let hasMore = true;
      while (hasMore) {
        if (!(await turn.next())) return;
        hasMore = this.#inTransaction(() => takeSteps(step, clock));
      }
    }
    await giveBackPages(renderings, turn);
    // What settle() says of the file holds only once the log has been written back.
    do {
      if (!(await turn.next())) return;
    } while (checkpoints.isHeld);
    settle(sqlite, seal, path);
    // The log still holds what was written before.
    renderings.shrinkFiles();
    const how = seal.keyId === undefined ? "in the clear" : `encrypted by key ${seal.keyId}`;
    log.info(`All documents on disk are ${how} now; earlier keys are needed no more`);
  }

  #inTransaction(run: () => boolean): boolean {
    return this.#options.sqlite.transaction(run).immediate();
  }

  /** Damaged rows are left to the scrub. */
  #documents(): Step {
    const { sqlite, seal } = this.#options;
    let after = 0;
    const select = `SELECT ${COLUMNS} FROM documents WHERE seq > ? ORDER BY seq LIMIT ${ROWS}`;
    const update = "UPDATE documents SET state = ?, json = ?, checksum = ? WHERE seq = ?";
    return () => {
      const raws = sqlite.query<RawRow, [number]>(select).all(after);
      for (const raw of raws) {
        after = raw.seq;
        if (seal.isCurrent(raw.state) && seal.isCurrent(raw.json)) continue;
        const row = fromRaw(raw, seal);
        // A damaged one stays one: its checksum is left as it is, its cells don't stay in the clear.
        const { state, json, checksum } = isDamaged(row)
          ? {
              state: again(seal, raw.state, statePlace(String(raw.key))) ?? raw.state,
              json: again(seal, raw.json, jsonPlace(String(raw.key))) ?? raw.json,
              checksum: raw.checksum,
            }
          : toRaw(row, seal);
        sqlite.query(update).run(state, json, checksum, raw.seq);
      }
      return raws.length === ROWS;
    };
  }

  /** What can't be opened is of no use to anybody, and stays. */
  #cells({ name, id, cells }: CellTable): Step {
    const { sqlite, seal } = this.#options;
    const columns = Object.keys(cells);
    const ids = id.join(", ");
    let after: Value[] | undefined;
    return () => {
      const beyond =
        after === undefined ? "" : `WHERE (${ids}) > (${id.map(() => "?").join(", ")})`;
      const select = `SELECT ${[...id, ...columns].join(", ")}${id.includes("key") ? "" : ", key"} FROM ${name} ${beyond} ORDER BY ${ids} LIMIT ${ROWS}`;
      const rows = sqlite.query<Record<string, Value>, Value[]>(select).all(...(after ?? []));
      for (const row of rows) {
        after = id.map((column) => row[column] ?? null);
        for (const [column, place] of Object.entries(cells)) {
          const cell = row[column];
          if (seal.isCurrent(cell)) continue;
          const written = again(seal, cell, place(row));
          if (written === undefined) continue;
          const where = id.map((one) => `${one} = ?`).join(" AND ");
          sqlite.query(`UPDATE ${name} SET ${column} = ? WHERE ${where}`).run(written, ...after);
        }
      }
      return rows.length === ROWS;
    };
  }
}

function takeSteps(step: Step, clock: Clock): boolean {
  const untilMs = clock.monotonic() + STEP_MS;
  let hasMore = true;
  while (hasMore && clock.monotonic() < untilMs) hasMore = step();
  return hasMore;
}

/** A cell as it would be written now: a text is one, also where it is sealed. */
function again(seal: Seal, cell: unknown, place: Place): string | Uint8Array | undefined {
  if (place.column === "json") {
    const text = seal.openText(cell, place);
    return text === undefined ? undefined : seal.closeText(text, place);
  }
  const value = seal.open(cell, place);
  return value === undefined ? undefined : seal.close(value, place);
}
