// What is left of a tombstone after its time: which life was ended, and until when that is remembered. A stub goes
// on beating every older state, and is shown to peers as the tombstone that it was.
import type { Database as Sqlite } from "bun:sqlite";
import type { DocumentKey } from "./document-key.ts";
import { type DeletedState, encodeState, hashBytes, type StateHash } from "./state.ts";

export interface Stub {
  /** Odd: the life that the deletion made. */
  readonly life: number;
  /** Ms since the Unix epoch. */
  readonly deletedAt: number;
}

export class Stubs {
  readonly #sqlite: Sqlite;

  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
  }

  find(key: DocumentKey): Stub | undefined {
    const query = this.#sqlite.query<Stub, [Uint8Array]>(
      "SELECT life, deleted_at AS deletedAt FROM stubs WHERE key_hash = ?",
    );
    return query.get(hashOf(key)) ?? undefined;
  }

  /** What a peer is sent that offers an older state. */
  stateOf(key: DocumentKey): { bytes: Uint8Array; hash: StateHash } | undefined {
    const stub = this.find(key);
    if (stub === undefined) return undefined;
    const bytes = encodeState(toTombstone(stub));
    return { bytes, hash: hashBytes(bytes) };
  }

  /** Remembers until `until` (ms). Of two stubs of one key the greater life, the later times. */
  keep(key: DocumentKey, { life, deletedAt }: Stub, until: number): void {
    this.#sqlite
      .query(
        `INSERT INTO stubs (key_hash, life, deleted_at, until) VALUES (?, ?, ?, ?)
         ON CONFLICT (key_hash) DO UPDATE SET life = max(life, excluded.life),
           deleted_at = max(deleted_at, excluded.deleted_at), until = max(until, excluded.until)`,
      )
      .run(hashOf(key), life, deletedAt, until);
  }

  /** Forgets stubs whose time ended by `now`, the first `limit`; returns the newest deletion among them. */
  forget(now: number, limit: number): { count: number; newestDeletedAt: number } {
    const gone = this.#sqlite
      .query<{ deletedAt: number }, [number, number]>(
        `DELETE FROM stubs WHERE key_hash IN (SELECT key_hash FROM stubs WHERE until <= ? ORDER BY until LIMIT ?)
         RETURNING deleted_at AS deletedAt`,
      )
      .all(now, limit);
    const newestDeletedAt = gone.reduce((newest, row) => Math.max(newest, row.deletedAt), 0);
    return { count: gone.length, newestDeletedAt };
  }

  /** Whether a call of forget() would find something. */
  hasDue(now: number): boolean {
    return this.#sqlite.query("SELECT 1 FROM stubs WHERE until <= ? LIMIT 1").get(now) !== null;
  }

  get count(): number {
    const query = this.#sqlite.query<{ count: number }, []>("SELECT count(*) AS count FROM stubs");
    return query.get()?.count ?? 0;
  }
}

/** As a state: what it says to peers, and what a local write comes after. */
export function toTombstone({ life, deletedAt }: Stub): DeletedState {
  return {
    form: "deleted",
    kind: "latest",
    life,
    born: deletedAt,
    deletedAt,
    by: "",
    reason: "",
  };
}

function hashOf(key: DocumentKey): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(key).digest().subarray(0, 16);
}
