// Certificate and key from files that are exchanged while the node runs: looked at now and then, used when sound.
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { CancelTimer, Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";

const log = getLog("peat_mesh::rpc");

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface TlsTexts {
  readonly cert: string;
  readonly key: string;
}

/** Between two looks at the files: certificates change hours before their end. */
const LOOK_MS = 10_000;

function readPem(path: string, setting: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const sentence = `${setting} names ${path}, which can't be read: ${messageOf(error)}`;
    throw new Fault("settings_invalid", sentence, {}, error);
  }
}

/** Fault `settings_invalid` for files that can't be read, or are not a certificate and its key. */
export function readTls(files: TlsFiles): TlsTexts {
  const texts = {
    cert: readPem(files.cert, "PEAT_TLS_CERT"),
    key: readPem(files.key, "PEAT_TLS_KEY"),
  };
  try {
    createSecureContext(texts);
  } catch (error) {
    throw new Fault(
      "settings_invalid",
      `PEAT_TLS_CERT and PEAT_TLS_KEY must be a certificate and its key in PEM: ${messageOf(error)}`,
      {},
      error,
    );
  }
  return texts;
}

/** Calls `changed` with new contents of the files; what is not sound yet is told once and waited for. */
export function watchTls(
  files: TlsFiles,
  options: { clock: Clock; now: TlsTexts; changed: (texts: TlsTexts) => void },
): CancelTimer {
  let current = options.now;
  let told = "";
  let cancel: CancelTimer = () => undefined;
  const look = () => {
    try {
      const texts = readTls(files);
      told = "";
      if (texts.cert !== current.cert || texts.key !== current.key) {
        current = texts;
        options.changed(texts);
        log.info("RPC certificate reloaded", { path: files.cert });
      }
    } catch (error) {
      // The files are mostly exchanged one after the other: the next look finds both.
      const cause = messageOf(error);
      if (cause !== told) log.warn("RPC certificate not reloaded; the old one stays", { cause });
      told = cause;
    }
    cancel = options.clock.after(LOOK_MS, look);
  };
  cancel = options.clock.after(LOOK_MS, look);
  return () => cancel();
}
