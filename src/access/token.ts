// The token that this node makes for the users of its machine: a file that its group may read.
import { join } from "node:path";
import { Fault, messageOf } from "../base/faults.ts";
import { readPrivateFile, writePrivateFile } from "../base/private-file.ts";
import { Secret } from "../base/secret.ts";

/** Name of the file in the runtime directory. */
const TOKEN_FILE = "token";
const TOKEN_MODE = 0o640;
const TOKEN_BYTES = 32;
const TOKEN = /^[0-9a-f]{64}\n?$/;
const FILE_BYTES_MAX = 100;

function load(path: string): string | undefined {
  // Rights that the group has beyond reading are its own affair: only others must not have read it.
  const text = readPrivateFile(path, { mode: 0o770, bytesMax: FILE_BYTES_MAX });
  return text !== undefined && TOKEN.test(text) ? text.trim() : undefined;
}

function make(path: string): string {
  const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)).toHex();
  writePrivateFile(path, `${token}\n`, TOKEN_MODE);
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
