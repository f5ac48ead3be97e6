// Records written to a node: many at once, those of one document one after the other, each tried again while the
// node says that it can't now.
import { sleep, systemClock } from "../../base/clock.ts";
import { Fault } from "../../base/faults.ts";
import { API } from "../../broker/api-path.ts";
import { documentKey } from "../../store/document-key.ts";
import { type FieldPath, valueAt } from "../../store/field-path.ts";
import { type JsonObject, parseJsonObject, printJson } from "../../store/json.ts";
import { isGood, refusalOf } from "../answer.ts";
import type { BrokerAnswer } from "../broker-client.ts";
import { refusalFault } from "../node.ts";
import type { NodeClient } from "../node-call.ts";
import { COLLECTION_COLUMN, ID_COLUMN } from "./csv-cells.ts";
import { BEGINNING, type Place } from "./import-place.ts";
import { jsonErrorAt } from "./json-position.ts";
import type { FileRecord } from "./records.ts";

/** As many requests as a node's group commit makes use of. */
const LANES = 64;
const TRIES_MAX = 8;
const FIRST_PAUSE_MS = 50;
/** Of a document: it may be written. Of these the next one may be, too; of others the node itself is at fault. */
const REJECTING: ReadonlySet<number> = new Set([400, 404, 409, 412, 413, 415, 422]);
const PASSING: ReadonlySet<number> = new Set([408, 429, 503]);

export interface Rejection {
  readonly line: number;
  readonly column?: number | undefined;
  readonly document?: string | undefined;
  readonly problem: string;
  readonly text?: string | undefined;
}

export interface ImportOptions {
  readonly node: NodeClient;
  /** Undefined: each record names its own, in `_collection`. */
  readonly collection: string | undefined;
  readonly idPath: FieldPath;
  readonly isPatch: boolean;
  /** Nothing is written. */
  readonly isDry: boolean;
  readonly from?: Place;
  readonly signal: AbortSignal;
  readonly onReject: (rejection: Rejection) => void;
}

/** A record that may be written. */
interface Ready {
  readonly collection: string;
  readonly id: string;
  readonly body: string;
}

/** Why a text is no document: what the parser says, or where it is no JSON, in columns from 1. */
function whyNot(text: string, error: Error): Pick<Rejection, "column" | "problem"> {
  if (!(error.cause instanceof SyntaxError || error.cause instanceof RangeError)) {
    return { problem: error.message };
  }
  const at = jsonErrorAt(text);
  if (at < text.length) return { column: at + 1, problem: "is not JSON" };
  return { column: at + 1, problem: "ends in the middle, or is nested too deep" };
}

export class Importer {
  readonly #options: ImportOptions;
  readonly #underWay = new Map<number, Promise<void>>();
  /** The last write of each document that is under way. */
  readonly #byDocument = new Map<string, Promise<void>>();
  #records: number;
  #written: number;
  #rejected: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: ImportOptions) {
    this.#options = options;
    const { records, written, rejected } = options.from ?? BEGINNING;
    [this.#records, this.#written, this.#rejected] = [records, written, rejected];
  }

  /** What was done is done up to here; what is under way may be, and is begun again by another run. */
  get place(): Place {
    // Numbers are given in order, so that the first is the smallest.
    const [first = this.#records] = this.#underWay.keys();
    return { records: first, written: this.#written, rejected: this.#rejected };
  }

  /** Takes one record, once there is room for it. Rejects with what ends the import. */
  async take(record: FileRecord): Promise<void> {
    const number = this.#records;
    this.#records += 1;
    const ready = this.#check(record);
    if (ready === undefined) return;
    if (this.#options.isDry) {
      this.#written += 1;
      return;
    }
    const key = `${ready.collection}:${ready.id}`;
    const line = record.line;
    const writing = (this.#byDocument.get(key) ?? Promise.resolve())
      .then(() => this.#write(ready, line))
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        if (this.#failure === undefined) this.#underWay.delete(number);
        if (this.#byDocument.get(key) === writing) this.#byDocument.delete(key);
      });
    this.#underWay.set(number, writing);
    this.#byDocument.set(key, writing);
    if (this.#underWay.size >= LANES) await Promise.race(this.#underWay.values());
    this.#throwFailure();
  }

  /** Until nothing is under way. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  /** Until all of it is done. Rejects with what ended the import. */
  async end(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#options.signal.throwIfAborted();
  }

  #reject(rejection: Rejection): void {
    this.#rejected += 1;
    this.#options.onReject(rejection);
  }

  #check(record: FileRecord): Ready | undefined {
    const { line } = record;
    if ("problem" in record) {
      this.#reject({ line, column: record.column, problem: record.problem });
      return undefined;
    }
    const { text } = record;
    try {
      return this.#toReady(text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#reject({ line, ...whyNot(text, error), text });
      return undefined;
    }
  }

  /** Faults: invalid_argument. */
  #toReady(text: string): Ready {
    const { collection: given, idPath } = this.#options;
    const document = parseJsonObject(text);
    const id = valueAt(document, idPath);
    const isNumber = typeof id === "number" || typeof id === "bigint";
    if (typeof id !== "string" && !isNumber) {
      throw new Fault("invalid_argument", `has no ${idPath.join(".")}, which is to be its id`);
    }
    const collection = given ?? takeCollection(document);
    documentKey(collection, String(id));
    // Another text of the same id would be refused as another id.
    if (isNumber && Object.hasOwn(document, ID_COLUMN)) delete document[ID_COLUMN];
    return { collection, id: String(id), body: printJson(document) };
  }

  async #write({ collection, id, body }: Ready, line: number): Promise<void> {
    // What comes behind a failure is left to another run.
    this.#throwFailure();
    const path = `${API}/documents/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
    const answer = await this.#ask(path, body);
    if (isGood(answer)) {
      this.#written += 1;
      return;
    }
    if (!REJECTING.has(answer.status)) throw refusalFault(answer);
    const document = `${collection}/${id}`;
    this.#reject({ line, document, problem: refusalOf(answer), text: body });
  }

  async #ask(path: string, body: string): Promise<BrokerAnswer> {
    const { node, isPatch, signal } = this.#options;
    const method = isPatch ? "PATCH" : "PUT";
    for (let tries = 1; ; tries += 1) {
      const answer = await node.ask({ method, path, body }).catch((error: unknown) => {
        const isGone = error instanceof Fault && error.code === "not_ready";
        if (isGone && tries < TRIES_MAX && !signal.aborted) return undefined;
        throw error;
      });
      const isPassing = answer === undefined || PASSING.has(answer.status);
      if (answer !== undefined && (!isPassing || tries === TRIES_MAX)) return answer;
      await sleep(systemClock, FIRST_PAUSE_MS * 2 ** (tries - 1), signal);
    }
  }
}

/** Fault `invalid_argument` where the record names none. */
function takeCollection(document: JsonObject): string {
  const name = Object.hasOwn(document, COLLECTION_COLUMN) ? document[COLLECTION_COLUMN] : undefined;
  if (typeof name !== "string") {
    const sentence = `has no ${COLLECTION_COLUMN}; name the collection by --collection`;
    throw new Fault("invalid_argument", sentence);
  }
  delete document[COLLECTION_COLUMN];
  return name;
}
