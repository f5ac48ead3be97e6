// JSON values one after the other: a line each (NDJSON), or the items of one array, or one behind the other.
import { Fault } from "../../base/faults.ts";
import { type FileRecord, RECORD_BYTES_MAX, tooLong, toRecord } from "./records.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === NEWLINE || byte === RETURN || byte === 0x09;
}

/** Bytes of the record that is being read; of one that is too long, none. */
class Gathering {
  #pieces: Uint8Array[] = [];
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (this.#length > RECORD_BYTES_MAX) this.#pieces = [];
    // The source may use its memory again.
    else if (bytes.length > 0) this.#pieces.push(bytes.slice());
  }

  take(line: number): FileRecord {
    const [pieces, length] = [this.#pieces, this.#length];
    [this.#pieces, this.#length] = [[], 0];
    return length > RECORD_BYTES_MAX ? tooLong(line) : toRecord(Buffer.concat(pieces), line);
  }
}

function isBlankRecord(record: FileRecord): boolean {
  return "text" in record && record.text.trim() === "";
}

/** A record for each line that is not blank. */
export async function* lineRecords(source: AsyncIterable<Uint8Array>): AsyncGenerator<FileRecord> {
  const gathering = new Gathering();
  let line = 1;
  for await (const piece of source) {
    for (let from = 0; from < piece.length; ) {
      const end = piece.indexOf(NEWLINE, from);
      gathering.add(piece.subarray(from, end === -1 ? piece.length : end));
      if (end === -1) break;
      from = end + 1;
      const record = gathering.take(line);
      line += 1;
      if (!isBlankRecord(record)) yield record;
    }
  }
  if (gathering.isEmpty) return;
  const last = gathering.take(line);
  if (!isBlankRecord(last)) yield last;
}

/** What the scanner is in the middle of. */
type Expecting = "first" | "value" | "separator" | "nothing";

class Scanner {
  readonly #gathering = new Gathering();
  #expecting: Expecting = "first";
  #isArray = false;
  #isAfterComma = false;
  /** Of the value that is being read; -1: none is. */
  #depth = -1;
  #isInString = false;
  #isEscaped = false;
  #line = 1;
  #column = 0;
  #valueLine = 1;

  *scan(piece: Uint8Array): Generator<FileRecord> {
    let from = 0;
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at] ?? 0;
      this.#column += 1;
      if (this.#depth >= 0) {
        if (this.#isEnd(byte)) {
          this.#gathering.add(piece.subarray(from, at + 1));
          yield this.#finish();
        }
      } else if (this.#begins(byte)) from = at;
      if (byte === NEWLINE) [this.#line, this.#column] = [this.#line + 1, 0];
    }
    if (this.#depth >= 0) this.#gathering.add(piece.subarray(from));
  }

  /** Fault `invalid_argument` where it ends in the middle. */
  end(): void {
    const isOpen = this.#isArray && this.#expecting !== "nothing";
    if (this.#depth >= 0 || isOpen) throw this.#wrong("the file ends in the middle");
  }

  #finish(): FileRecord {
    this.#depth = -1;
    this.#expecting = this.#isArray ? "separator" : "value";
    return this.#gathering.take(this.#valueLine);
  }

  /** Whether the byte is the last one of the value. */
  #isEnd(byte: number): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) this.#isInString = false;
      return false;
    }
    if (byte === QUOTE) this.#isInString = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) this.#depth -= 1;
    return this.#depth === 0;
  }

  /** Between values; true where one begins. */
  #begins(byte: number): boolean {
    if (isBlank(byte)) return false;
    if (byte === OPEN_LIST && this.#expecting === "first") {
      [this.#isArray, this.#expecting] = [true, "value"];
    } else if (
      byte === OPEN_OBJECT &&
      (this.#expecting === "first" || this.#expecting === "value")
    ) {
      [this.#depth, this.#valueLine, this.#isAfterComma] = [1, this.#line, false];
      return true;
    } else if (byte === COMMA && this.#expecting === "separator") {
      [this.#expecting, this.#isAfterComma] = ["value", true];
    } else if (
      byte === CLOSE_LIST &&
      this.#isArray &&
      !this.#isAfterComma &&
      this.#expecting !== "nothing"
    ) {
      this.#expecting = "nothing";
    } else throw this.#wrong("an object, as every document is, was expected");
    return false;
  }

  #wrong(told: string): Fault {
    const where = `line ${this.#line}, column ${this.#column}`;
    return new Fault("invalid_argument", `${where}: ${told}; nothing behind it is read`);
  }
}

/** Objects of an array, or one behind the other. Fault `invalid_argument` where neither goes on. */
export async function* valueRecords(source: AsyncIterable<Uint8Array>): AsyncGenerator<FileRecord> {
  const scanner = new Scanner();
  for await (const piece of source) yield* scanner.scan(piece);
  scanner.end();
}
