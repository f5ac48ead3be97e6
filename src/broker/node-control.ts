// What operators ask of the rest of the node beside NodeView: facts about the process, its log and settings, and the
// switch of sync.
import type { LogPage, LogQuery } from "../base/log-ring.ts";

/** Where the node answers. */
export interface ListenerView {
  readonly kind: "broker" | "rpc" | "iroh" | "control";
  /** `ip:port`, or the path of a unix socket. */
  readonly address: string;
}

/** Of the process, what neither its documents nor its peers tell. */
export interface ProcessView {
  /** The name under which it was started. */
  readonly program: string;
  readonly commit: string;
  /** 64 hex digits. */
  readonly endpointId: string;
  /** Tag of the formation secret that is the node's identity. */
  readonly formationTag: string;
  /** Ms since the Unix epoch. */
  readonly startedAtMs: number;
  readonly databaseBytes: number;
  /** Of the write-ahead log beside the database. */
  readonly walBytes: number;
  readonly listeners: readonly ListenerView[];
}

export interface FilterView {
  /** As RUST_LOG has it. */
  readonly filter: string;
  /** Ordered by an operator, hence until the next reload or restart; else from the settings. */
  readonly isOrdered: boolean;
  /** Targets in it that nothing in this process logs under. */
  readonly unknown: readonly string[];
}

export interface LogControl {
  readonly filter: FilterView;
  /** Until the next reload or restart; null ends that now. Fault `invalid_argument` for what is no filter. */
  orderFilter(text: string | null): void;
  /** The newest lines that were printed. */
  read(query: LogQuery): LogPage;
}

/** A setting that is in force. */
export interface SettingView {
  readonly name: string;
  /** Of the environment. */
  readonly variable: string;
  /** As the environment would have it; null of a secret, and of what is not set. */
  readonly value: string | null;
  readonly isSecret: boolean;
  readonly isSet: boolean;
  /** The flag, variable, or file and key that it came from. */
  readonly origin: string;
}

/** A setting that would be another if it were read now. */
export interface WaitingSetting extends SettingView {
  readonly takenBy: "reload" | "restart";
}

/** What is otherwise now than when the node read its settings. */
export interface SettingsDiff {
  readonly waiting: readonly WaitingSetting[];
  /** Why what there is now could not be taken, in sentences. */
  readonly problems: readonly string[];
}

export interface NodeControl {
  readonly log: LogControl;
  /** Those in force. */
  settings(): readonly SettingView[];
  /** Reads everything that settings name anew, as a start does, and takes nothing of it. */
  settingsDiff(): SettingsDiff;
  /** Whether peers are, or may be, connected. */
  readonly isSyncing: boolean;
  /** Stopped: every peer is disconnected, and none comes back before it is started. */
  setSyncing(isWanted: boolean): void;
  process(): ProcessView;
}
