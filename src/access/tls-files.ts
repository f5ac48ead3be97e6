// Certificate and key from files that are exchanged while the node runs: looked at now and then, used when sound.
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { CancelTimer, Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import type { Log } from "../base/log.ts";

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

export interface TlsWatchOptions {
  readonly files: TlsFiles;
  readonly clock: Clock;
  /** Of the listener. */
  readonly log: Log;
  readonly now: TlsTexts;
  readonly changed: (texts: TlsTexts) => void;
}

/** Tells of new contents of the files; what is not sound yet is told once and waited for. */
export class TlsWatch {
  readonly #options: TlsWatchOptions;
  #current: TlsTexts;
  #told = "";
  #cancel: CancelTimer = () => undefined;

  constructor(options: TlsWatchOptions) {
    this.#options = options;
    this.#current = options.now;
    this.#lookLater();
  }

  /** Looks now, in place of the next time. */
  look(): void {
    this.#cancel();
    this.#lookLater();
    const { files, log, changed } = this.#options;
    const texts = this.#read();
    if (texts === undefined) return;
    if (texts.cert === this.#current.cert && texts.key === this.#current.key) return;
    this.#current = texts;
    changed(texts);
    log.info("Certificate reloaded", { path: files.cert });
  }

  end(): void {
    this.#cancel();
  }

  #read(): TlsTexts | undefined {
    const { files, log } = this.#options;
    try {
      const texts = readTls(files);
      this.#told = "";
      return texts;
    } catch (error) {
      // The files are mostly exchanged one after the other: the next look finds both.
      const cause = messageOf(error);
      if (cause !== this.#told) log.warn("Certificate not reloaded; the old one stays", { cause });
      this.#told = cause;
      return undefined;
    }
  }

  #lookLater(): void {
    this.#cancel = this.#options.clock.after(LOOK_MS, () => this.look());
  }
}
