// Somebody copies the files of the database while the node runs: for as long as they say so again and again, the file
// stays as it is. One at a time, with an end of its own: a copier that died must not make the log grow for ever.
import { toHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { fileBytes } from "../base/file-bytes.ts";
import { getLog } from "../base/log.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { toStorageFault } from "./storage-fault.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** A copier that says nothing for so long is gone. */
const LEASE_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
/** Every read of a page that is only in the log looks for it there, and the disk has to hold both. */
const LOG_BYTES_MAX = 1024 ** 3;

export interface CopyingOptions {
  readonly checkpoints: Checkpoints;
  /** Of the database, absolute. */
  readonly path: string;
  readonly clock: Clock;
  readonly random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
  /** Of the log; a GB unless given. */
  readonly logBytesMax?: number;
}

interface Lease {
  readonly id: string;
  untilMs: number;
}

export class Copying {
  readonly #options: CopyingOptions;
  readonly #logBytesMax: number;
  #lease: Lease | undefined;
  /** Why the last copy that was given up was. */
  #given: { readonly id: string; readonly why: string } | undefined;
  #endLook: () => void = () => undefined;

  constructor(options: CopyingOptions) {
    this.#options = options;
    this.#logBytesMax = options.logBytesMax ?? LOG_BYTES_MAX;
  }

  /** Of the database; its log is beside it, with `-wal` behind its name. */
  get path(): string {
    return this.#options.path;
  }

  get leaseMs(): number {
    return LEASE_MS;
  }

  /** The copier's name for what follows. Faults: `overloaded` while another one copies; storage_*. */
  begin(): string {
    if (this.#lease !== undefined) {
      throw new Fault("overloaded", "another backup of this node is being copied; try again later");
    }
    const { checkpoints, clock, random } = this.#options;
    const id = toHex(random(new Uint8Array(8)));
    try {
      checkpoints.hold();
    } catch (error) {
      throw toStorageFault(error, this.path);
    }
    this.#lease = { id, untilMs: clock.monotonic() + LEASE_MS };
    this.#look();
    return id;
  }

  /** The copier goes on. Fault `conflict` if its copy was given up. */
  renew(id: string): void {
    this.#find(id).untilMs = this.#options.clock.monotonic() + LEASE_MS;
  }

  /** The copier is done: what it copied is good, unless this throws. Fault `conflict` if its copy was given up. */
  end(id: string): void {
    this.#find(id);
    this.#release();
  }

  /** To be called before the database is closed: that writes the log back. */
  close(): void {
    if (this.#lease !== undefined) this.#giveUp("the node was stopped");
  }

  #find(id: string): Lease {
    if (this.#lease?.id === id) return this.#lease;
    const why = this.#given?.id === id ? this.#given.why : "this node knows nothing of it";
    throw new Fault("conflict", `the copy is worth nothing: ${why}; begin another one`);
  }

  #look(): void {
    this.#endLook = this.#options.clock.after(LOOK_EVERY_MS, () => {
      const lease = this.#lease;
      if (lease === undefined) return;
      if (this.#options.clock.monotonic() > lease.untilMs) {
        this.#giveUp(`whoever copied said nothing for ${LEASE_MS / 1000} s`);
      } else if (this.#logBytes() > this.#logBytesMax) {
        this.#giveUp(`more than ${this.#logBytesMax} bytes were written meanwhile`);
      } else this.#look();
    });
  }

  #logBytes(): number {
    return fileBytes(`${this.#options.path}-wal`);
  }

  #giveUp(why: string): void {
    const id = this.#lease?.id ?? "";
    this.#given = { id, why };
    log.warn("A backup's copy of the database was given up", { reason: why });
    this.#release();
  }

  #release(): void {
    this.#endLook();
    this.#lease = undefined;
    this.#options.checkpoints.release();
  }
}
