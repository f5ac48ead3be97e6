// Files that the node lives on: who may read them, whether they can be written, and certificates with their end.
import { X509Certificate } from "node:crypto";
import { accessSync, constants, readFileSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { controlSocketPath } from "../../access/control-socket.ts";
import { readTls } from "../../access/tls-files.ts";
import { messageOf, systemCode } from "../../base/faults.ts";
import type { Config } from "../../config/settings.ts";
import { doubt, type Found, fault, good } from "./finding.ts";

/** Rights of everybody who is neither owner nor of the group. */
const OTHERS = 0o007;
const OTHERS_READ = 0o004;
const DAY_MS = 86_400_000;
const EXPIRY_DAYS = 14;

export interface FileFacts {
  readonly values: Partial<Config>;
  /** Paths of files that hold secrets, by the variable that names them. */
  readonly secretFiles: ReadonlyMap<string, string>;
  readonly nowMs: number;
  /** Kubernetes mounts volumes with rights for everybody, and nobody else is in the pod. */
  readonly isPod: boolean;
}

/** Whether everybody, not only owner and group, has one of these rights. */
type IsOpen = (stats: Stats, rights: number) => boolean;

export function examineFiles({ values, secretFiles, nowMs, isPod }: FileFacts): Found[] {
  const isOpen: IsOpen = (stats, rights) => !isPod && (stats.mode & rights) !== 0;
  const found: Found[] = [];
  const { dataDir, runtimeDir, tlsCert, tlsKey } = values;
  if (dataDir !== undefined) found.push(...examineDataDir(dataDir, isOpen));
  if (runtimeDir !== undefined) found.push(...examineRuntimeDir(runtimeDir, isOpen));
  for (const [name, path] of secretFiles) found.push(...examineSecret(name, path, isOpen));
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const files = { cert: tlsCert, key: tlsKey };
    found.push(...examineTlsKey(tlsKey, isOpen), ...examineTls(files, nowMs));
  }
  return found;
}

function look(path: string): Stats | string {
  try {
    return statSync(path);
  } catch (error) {
    return systemCode(error) || messageOf(error);
  }
}

function mode({ mode: bits }: Stats): string {
  return (bits & 0o777).toString(8).padStart(4, "0");
}

function examineDataDir(path: string, isOpen: IsOpen): Found[] {
  const stats = look(path);
  if (stats === "ENOENT") {
    const remedy = "nothing, if no node has run here yet: it is made at the start";
    return [doubt("data_dir_missing", `the data directory ${path} does not exist`, remedy)];
  }
  if (typeof stats === "string") {
    const remedy = "run this command as the node's user or as root";
    return [doubt("data_dir_unknown", `this user can't look into ${path} (${stats})`, remedy)];
  }
  if (!stats.isDirectory()) {
    return [fault("data_dir", `${path} is not a directory`, "set PEAT_DATA_DIR to one")];
  }
  const found: Found[] = [];
  if (isOpen(stats, OTHERS)) {
    const message = `every user may look into ${path} (mode ${mode(stats)})`;
    found.push(doubt("data_dir_open", message, `run chmod o-rwx ${path}`));
  }
  if (!isWritable(path)) {
    const message = `${path} can't be written by this user: another one's, or a read-only mount`;
    const remedy =
      "run this command as the node's user; if it can't either, look at mount and owner";
    found.push(doubt("data_dir_read_only", message, remedy));
  }
  return found.length > 0 ? found : [good("data_dir", `${path} can be written`)];
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    // Whatever the reason: it can't.
    return false;
  }
}

/** Token and socket let their readers do everything. */
function examineRuntimeDir(path: string, isOpen: IsOpen): Found[] {
  const found: Found[] = [];
  const targets = [
    ["token", join(path, "token")],
    ["control_socket", controlSocketPath(path)],
  ] as const;
  for (const [code, file] of targets) {
    const stats = look(file);
    if (typeof stats === "string") continue;
    const message = `${file} has mode ${mode(stats)}`;
    if (isOpen(stats, OTHERS)) {
      const remedy = `run chmod o-rwx ${file}: whoever may use it may do everything here`;
      found.push(fault(code, `${message}: every user may use it`, remedy));
    } else found.push(good(code, message));
  }
  return found;
}

function examineSecret(name: string, path: string, isOpen: IsOpen): Found[] {
  const stats = look(path);
  if (typeof stats === "string") {
    const remedy = "run this command as the node's user or as root";
    return [doubt("secret_file_unknown", `${name}: ${path} can't be looked at (${stats})`, remedy)];
  }
  if (!isOpen(stats, OTHERS_READ)) {
    return [
      good(
        "secret_file",
        `${name.endsWith(path) ? name : `${name}: ${path}`} has mode ${mode(stats)}`,
      ),
    ];
  }
  const message = `${name}: every user can read ${path} (mode ${mode(stats)})`;
  const remedy = `run chmod 600 ${path}, and change the secret if somebody has read it`;
  return [fault("secret_file", message, remedy)];
}

function examineTlsKey(path: string, isOpen: IsOpen): Found[] {
  const stats = look(path);
  if (typeof stats === "string" || !isOpen(stats, OTHERS_READ)) return [];
  const message = `every user can read ${path} (mode ${mode(stats)})`;
  return [fault("tls_key", message, `run chmod 640 ${path}`)];
}

function examineTls(files: { cert: string; key: string }, nowMs: number): Found[] {
  try {
    readTls(files);
    return [examineExpiry(files.cert, nowMs)];
  } catch (error) {
    return [fault("tls", messageOf(error), "put a certificate and its own key in these files")];
  }
}

function examineExpiry(path: string, nowMs: number): Found {
  const until = new X509Certificate(readFileSync(path)).validToDate.getTime();
  const when = new Date(until).toISOString();
  const remedy = "renew it; a running node takes the new files by itself";
  if (until <= nowMs)
    return fault("tls_expired", `the certificate ${path} ended at ${when}`, remedy);
  if (until - nowMs < EXPIRY_DAYS * DAY_MS) {
    return doubt("tls_expiring", `the certificate ${path} ends at ${when}`, remedy);
  }
  return good("tls", `the certificate ${path} holds until ${when}`);
}
