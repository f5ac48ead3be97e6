// What a command gets from main: the process's streams, surroundings and signals, none of them global.
import type { Host, Program } from "../config/setting.ts";

export interface Output {
  readonly isTerminal: boolean;
  /** Cells of a line and lines of the terminal, now; undefined where there is none or it has no size. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** Aborted when nothing that is written will ever be taken: the reader has gone, or the disk is full. */
  readonly closed?: AbortSignal;
  /** About how much of what was written has not been taken yet. */
  readonly pendingBytes: number;
  write(text: string): void;
}

export type StopSignal = "SIGTERM" | "SIGINT";

export interface Context {
  /** The name under which the executable was called. */
  readonly program: Program;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly host: Host;
  /**
   * Calls `listener` for the first stop signal; the second ends the process at once, by main. A command, other than
   * a daemon, fails when its output can't be written.
   */
  onStopSignal(
    listener: (signal: StopSignal) => void,
    options?: { readonly isCommand?: boolean },
  ): void;
  /** Calls `listener` for every SIGHUP; without one, and where a terminal has gone, that ends the process. */
  onReloadSignal(listener: () => void): void;
}

/** Exit statuses that belong to no fault, after sysexits(3). */
export const EXIT = { ok: 0, failed: 1, usage: 64, bug: 70, settings: 78 } as const;
