// What a row of the settings table is, and the four ways in which a setting gets a value when nobody gives one.
import type { Kind } from "./kinds.ts";

/** The two names of the executable; each has a column of defaults. */
export const PROGRAMS = ["peat-mesh-node", "peat-sidecar"] as const;
export type Program = (typeof PROGRAMS)[number];

/** What the machine says, asked for only by settings whose default depends on it. */
export interface Host {
  /** The operating system's name of this machine. */
  hostName(): string;
  /** The text of a small file; throws the system's error. */
  readText(path: string): string;
  isWritableDirectory(path: string): boolean;
}

/** What a default may be found from: the surroundings, and the settings of earlier rows as text. */
export interface World {
  readonly program: Program;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly host: Host;
  /** The settled text of an earlier setting; undefined when it has none. */
  text(setting: string): string | undefined;
}

/** A value that was found, with where it comes from and, as a whole sentence, what is doubtful about it. */
export interface Found {
  readonly text: string;
  /** Names the place, for `check` and for problems: `HOSTNAME`. */
  readonly name: string;
  readonly doubt?: string;
}

export type Fallback =
  | { readonly kind: "text"; readonly texts: Readonly<Record<Program, string>> }
  | { readonly kind: "found"; readonly told: string; find(world: World): Found | undefined }
  | { readonly kind: "none" }
  | { readonly kind: "required" };

export type Group =
  | "Identity and membership"
  | "Storage"
  | "Discovery"
  | "Iroh (QUIC)"
  | "Broker (HTTP and WebSocket)"
  | "Logging"
  | "Sync, deletion and compaction"
  | "RPC (Connect and gRPC)"
  | "Attachments"
  | "Remote agent"
  | "NATS bridge"
  | "Certificates and devices";

/** What every row says. */
export interface Row {
  readonly group: Group;
  /** The guide's name first; further names mean the same. */
  readonly env: readonly [string, ...string[]];
  /** One sentence or two, for every printed form. */
  readonly help: string;
  /** What the host package's unit sets in place of the default. */
  readonly packaged?: string;
  /** Key in the chart's values, dots between levels; also accepted in the configuration file. */
  readonly chart?: string;
  /** False while the behaviour is not built: accepted, checked, and warned of. */
  readonly effective?: false;
  /** True where a running node takes it when settings are read again; all others wait for a restart. */
  readonly reloads?: true;
  /** True where a variable that is set but empty has a meaning. */
  readonly emptyIsValue?: true;
}

export interface Setting<T> extends Row {
  readonly kind: Kind<T>;
  readonly fallback: Fallback;
}

type Texts = string | Readonly<Record<Program, string>>;

/** A setting with a default, given as text of its own kind; one for both programs or one for each. */
export function withDefault<T>(kind: Kind<T>, row: Row & { readonly fallback: Texts }): Setting<T> {
  const { fallback, ...rest } = row;
  const texts =
    typeof fallback === "string"
      ? { "peat-mesh-node": fallback, "peat-sidecar": fallback }
      : fallback;
  return { ...rest, kind, fallback: { kind: "text", texts } };
}

/** A setting whose default depends on the surroundings; `told` says how. A bug if `find` finds nothing. */
export function foundDefault<T>(
  kind: Kind<T>,
  row: Row & { readonly told: string; find(world: World): Found },
): Setting<T> {
  const { told, find, ...rest } = row;
  return { ...rest, kind, fallback: { kind: "found", told, find } };
}

/** A setting that may be absent. */
export function optional<T>(kind: Kind<T>, row: Row): Setting<T | undefined> {
  return { ...row, kind, fallback: { kind: "none" } };
}

/** A setting without which nothing starts. */
export function required<T>(kind: Kind<T>, row: Row): Setting<T> {
  return { ...row, kind, fallback: { kind: "required" } };
}

/** `brokerPort` is `--broker-port`; a secret is `--…-file`, because others can read a command line. */
export function flagOf(name: string, setting: Setting<unknown>): string {
  const kebab = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return setting.kind.isSecret ? `${kebab}-file` : kebab;
}
