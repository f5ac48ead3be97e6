// The token that this node makes for the users of its machine: a file that its group may read.
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Fault, messageOf } from "../base/faults.ts";
import { Secret } from "../base/secret.ts";

/** Name of the file in the runtime directory. */
const TOKEN_FILE = "token";
const TOKEN_MODE = 0o640;
const TOKEN_BYTES = 32;
const TOKEN = /^[0-9a-f]{64}\n?$/;
const FILE_BYTES_MAX = 100;

/** The token in the file if nobody but owner and group can have read it. */
function readSound(file: number): string | undefined {
  const status = fstatSync(file);
  const othersMay = (status.mode & 0o007) !== 0;
  // Somebody else's file holds a token that somebody else knows.
  const isOurs = status.uid === (process.getuid?.() ?? status.uid) || status.uid === 0;
  if (!status.isFile() || !isOurs || othersMay || status.size > FILE_BYTES_MAX) return undefined;
  const text = readFileSync(file, "utf8");
  return TOKEN.test(text) ? text.trim() : undefined;
}

function load(path: string): string | undefined {
  let file: number;
  try {
    // Not through a link, and without waiting for a pipe's writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // Missing, a link, or not ours to read: a new one takes its place, or the reason stops that too.
    return undefined;
  }
  try {
    return readSound(file);
  } finally {
    closeSync(file);
  }
}

function make(path: string): string {
  const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)).toHex();
  const fresh = `${path}.${crypto.randomUUID()}`;
  const file = openSync(fresh, "wx", TOKEN_MODE);
  try {
    // The process's umask may have taken the group's right away.
    fchmodSync(file, TOKEN_MODE);
    writeFileSync(file, `${token}\n`);
    // Readers see the old file or the whole new one.
    renameSync(fresh, path);
  } catch (error) {
    unlinkSync(fresh);
    throw error;
  } finally {
    closeSync(file);
  }
  return token;
}

/**
 * The token of the file `token` in `runtimeDir`: what is there if it is sound, so that a restarted node's users
 * need no new one, else a new one, mode 0640. Fault `settings_invalid` when the file can't be made.
 */
export function loadOrMakeApiToken(runtimeDir: string): Secret<string> {
  const path = join(runtimeDir, TOKEN_FILE);
  try {
    return new Secret(load(path) ?? make(path));
  } catch (error) {
    throw new Fault(
      "settings_invalid",
      `the API token can't be written to ${path} (${messageOf(error)}); set PEAT_RUNTIME_DIR to a directory that this user may write, or PEAT_API_TOKEN`,
      {},
      error,
    );
  }
}
