// The columns of an Automerge change: run lengths, differences and booleans, in the one form that Automerge
// itself writes. It names a change by the hash of its bytes, so that no other form will do.
//
//   run lengths   sleb n > 0 || value            n equal values
//                 sleb -n || n values            n values, each unlike its neighbours
//                 sleb 0 || uleb n               n absent values
//   differences   run lengths of sleb (value - the one before)
//   booleans      uleb lengths of alternating runs, the first of `false`
import { ByteWriter, toUtf8 } from "../base/bytes.ts";
import { JsonFloat } from "./json.ts";

/** What is not an object or a list. */
export type JsonScalar = null | boolean | string | number | bigint | JsonFloat;

type Write<T> = (writer: ByteWriter, value: T) => void;

class RunLengths<T extends number | string> {
  readonly #writer = new ByteWriter(64);
  readonly #write: Write<T>;
  #literal: T[] = [];
  #value: T | null = null;
  #count = 0;

  constructor(write: Write<T>) {
    this.#write = write;
  }

  append(value: T | null): void {
    if (value !== this.#value) this.#endRun();
    this.#value = value;
    this.#count += 1;
  }

  #endRun(): void {
    if (this.#count === 0) return;
    if (this.#value === null) {
      this.#endLiteral();
      this.#writer.sleb(0).uleb(this.#count);
    } else if (this.#count === 1) this.#literal.push(this.#value);
    else {
      this.#endLiteral();
      this.#write(this.#writer.sleb(this.#count), this.#value);
    }
    this.#count = 0;
  }

  #endLiteral(): void {
    if (this.#literal.length === 0) return;
    this.#writer.sleb(-this.#literal.length);
    for (const value of this.#literal) this.#write(this.#writer, value);
    this.#literal = [];
  }

  /** Empty when no value was ever present. */
  finish(): Uint8Array {
    const isEmpty = this.#writer.length === 0 && this.#literal.length === 0 && this.#value === null;
    if (isEmpty) return new Uint8Array(0);
    this.#endRun();
    this.#endLiteral();
    return this.#writer.finish();
  }
}

/** Whole numbers from 0. */
export function numberColumn(): RunLengths<number> {
  return new RunLengths((writer, value) => writer.uleb(value));
}

export function textColumn(): RunLengths<string> {
  return new RunLengths((writer, value) => {
    const bytes = toUtf8(value);
    writer.uleb(bytes.length).bytes(bytes);
  });
}

/** Whole numbers that are near to the ones before them. */
export class DifferenceColumn {
  readonly #differences = new RunLengths<number>((writer, value) => writer.sleb(value));
  #last = 0;

  append(value: number | null): void {
    this.#differences.append(value === null ? null : value - this.#last);
    this.#last = value ?? this.#last;
  }

  finish(): Uint8Array {
    return this.#differences.finish();
  }
}

export class BooleanColumn {
  readonly #writer = new ByteWriter(8);
  #value = false;
  #count = 0;

  append(value: boolean): void {
    if (value !== this.#value) {
      this.#writer.uleb(this.#count);
      this.#value = value;
      this.#count = 0;
    }
    this.#count += 1;
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#writer.uleb(this.#count);
    return this.#writer.finish();
  }
}

const VALUE_TYPE = { null: 0, false: 1, true: 2, int: 4, float: 5, text: 6 } as const;

/** Scalars of JSON: length and type of each in one column, their bytes in another. */
export class ValueColumns {
  readonly #kinds = numberColumn();
  readonly #raw = new ByteWriter(256);

  append(value: JsonScalar): void {
    if (value instanceof JsonFloat) this.#float(value.value);
    else if (typeof value === "string") this.#bytes(VALUE_TYPE.text, toUtf8(value));
    else if (typeof value === "number" && !Number.isInteger(value)) this.#float(value);
    else if (typeof value === "number" || typeof value === "bigint") this.#int(value);
    else this.#kinds.append(VALUE_TYPE[`${value}`]);
  }

  #int(value: number | bigint): void {
    const before = this.#raw.length;
    this.#raw.sleb(value);
    this.#kinds.append((this.#raw.length - before) * 16 + VALUE_TYPE.int);
  }

  #float(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#bytes(VALUE_TYPE.float, bytes);
  }

  #bytes(type: number, bytes: Uint8Array): void {
    this.#kinds.append(bytes.length * 16 + type);
    this.#raw.bytes(bytes);
  }

  finish(): { readonly kinds: Uint8Array; readonly raw: Uint8Array } {
    return { kinds: this.#kinds.finish(), raw: this.#raw.finish() };
  }
}
