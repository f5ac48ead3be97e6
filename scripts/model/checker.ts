// The judge of a model run. It shares no code with the product: it keeps its own account of who had seen what
// when a write was acknowledged, and holds what is left at the end to three rules.
//
//   (a) all nodes show the same JSON and the same hash;
//   (b) a written field is gone only by a later or concurrent write of that field, replacement, or delete, and
//       what a write had seen never beats it;
//   (c) nothing deleted returns by itself.

/** A document as a reader sees it: root fields with scalar values; undefined while it does not exist. */
export type Seen = Readonly<Record<string, number>> | undefined;

export type Operation =
  | { readonly kind: "put"; readonly body: Readonly<Record<string, number>> }
  /** null removes. */
  | { readonly kind: "patch"; readonly body: Readonly<Record<string, number | null>> }
  | { readonly kind: "delete" };

interface Write {
  readonly index: number;
  readonly isDelete: boolean;
  /** A replacement writes every field, those that it does not name by removing them. */
  readonly isReplacement: boolean;
  /** undefined: removed. */
  readonly fields: ReadonlyMap<string, number | undefined>;
  /** Bit i: the write of index i was known at the node that took this one. */
  readonly seen: bigint;
}

/** `replaced`: PUT replaces as a whole; `merged`: PUT writes only what differs. */
export type PutRule = "replaced" | "merged";

function bit(index: number): bigint {
  return 1n << BigInt(index);
}

/** What one document went through, over all nodes. */
export class DocumentChecker {
  readonly #key: string;
  readonly #putRule: PutRule;
  readonly #writes: Write[] = [];
  readonly #seen: bigint[];
  /** Writes that went with a disk before anybody else had them: they may be gone. */
  #excused = 0n;
  readonly complaints: string[] = [];

  constructor(key: string, putRule: PutRule, nodes: number) {
    this.#key = key;
    this.#putRule = putRule;
    this.#seen = Array.from({ length: nodes }, () => 0n);
  }

  get writeCount(): number {
    return this.#writes.length;
  }

  /** `node` acknowledged an operation: what it showed before, and what it shows now. */
  acknowledged(node: number, operation: Operation, before: Seen, after: Seen): void {
    this.#checkOwnWrite(operation, before, after);
    const fields = this.#fieldsWritten(operation, before);
    const isReplacement = operation.kind === "put" && this.#putRule === "replaced";
    const isNothing = operation.kind !== "delete" && !isReplacement && fields.size === 0;
    if (isNothing && before !== undefined) return;
    const index = this.#writes.length;
    const seen = this.seenBy(node);
    const isDelete = operation.kind === "delete";
    this.#writes.push({ index, isDelete, isReplacement, fields, seen });
    this.#seen[node] = seen | bit(index);
  }

  /** All that `from` knows reached `to`. */
  delivered(from: number, to: number): void {
    this.learned(to, this.seenBy(from));
  }

  /** What a node knows, to be given to learned() of another. */
  seenBy(node: number): bigint {
    return this.#seen[node] ?? 0n;
  }

  learned(node: number, knew: bigint): void {
    this.#seen[node] = this.seenBy(node) | knew;
  }

  /** The node's disk holds from now on what was known at `knew`: what only it had, somebody threw away. */
  replaced(node: number, knew: bigint): void {
    const before = this.seenBy(node);
    this.#seen[node] = knew;
    const elsewhere = this.#seen.reduce((all, seen) => all | seen, 0n);
    this.#excused |= before & ~elsewhere;
  }

  /** Compaction, restart or re-encoding at one node: nobody may be able to tell. */
  rewritten(what: string, before: string, after: string): void {
    if (before !== after) this.#complain(`${what} changed the state`);
  }

  /** Everything has reached everybody. */
  settled(shown: readonly { readonly document: Seen; readonly hash: string }[]): void {
    const first = shown[0];
    if (first === undefined) return;
    for (const other of shown) {
      if (print(other.document) !== print(first.document)) {
        this.#complain(`nodes show ${print(first.document)} and ${print(other.document)}`);
        return;
      }
      if (other.hash !== first.hash) this.#complain("nodes have unequal hashes of equal documents");
    }
    if (first.document === undefined) this.#checkAbsence();
    else this.#checkPresence(first.document);
  }

  #complain(text: string): void {
    this.complaints.push(`${this.#key}: ${text}`);
  }

  #checkOwnWrite(operation: Operation, before: Seen, after: Seen): void {
    let expected: Seen;
    if (operation.kind === "put") expected = operation.body;
    else if (operation.kind === "patch") {
      const merged: Record<string, number> = { ...before };
      for (const [name, value] of Object.entries(operation.body)) {
        if (value === null) delete merged[name];
        else merged[name] = value;
      }
      expected = merged;
    }
    if (print(expected) !== print(after)) {
      this.#complain(
        `after ${operation.kind} its node shows ${print(after)}, not ${print(expected)}`,
      );
    }
  }

  #fieldsWritten(operation: Operation, before: Seen): Map<string, number | undefined> {
    const fields = new Map<string, number | undefined>();
    if (operation.kind === "delete") return fields;
    for (const [name, value] of Object.entries(operation.body)) {
      const isSame = (before?.[name] ?? null) === value;
      const isWritten = operation.kind === "put" && this.#putRule === "replaced";
      if (isWritten || !isSame) fields.set(name, value ?? undefined);
    }
    if (operation.kind === "put") {
      for (const name of Object.keys(before ?? {})) {
        if (operation.body[name] === undefined) fields.set(name, undefined);
      }
    }
    return fields;
  }

  #isExcused(write: Write): boolean {
    return (this.#excused & bit(write.index)) !== 0n;
  }

  #hasSeen(later: Write, earlier: Write): boolean {
    return (later.seen & bit(earlier.index)) !== 0n;
  }

  /** Neither the same nor known to `write` when it was made: it may win. */
  #mayBeat(other: Write, write: Write): boolean {
    return other !== write && !this.#hasSeen(write, other);
  }

  #isDeletedForGood(write: Write): boolean {
    return this.#writes.some(
      (other) => other.isDelete && !this.#isExcused(other) && this.#hasSeen(other, write),
    );
  }

  #writesField(write: Write, name: string): boolean {
    return !write.isDelete && (write.isReplacement || write.fields.has(name));
  }

  #checkAbsence(): void {
    for (const write of this.#writes) {
      if (write.isDelete || this.#isExcused(write)) continue;
      if (this.#writes.some((other) => other.isDelete && this.#mayBeat(other, write))) continue;
      this.#complain(`write ${write.index} is gone, and no later or concurrent delete explains it`);
    }
  }

  #checkPresence(document: NonNullable<Seen>): void {
    const content = this.#writes.filter((write) => !write.isDelete);
    if (!content.some((write) => !this.#isDeletedForGood(write))) {
      this.#complain("the document returned after a delete that had seen all its writes");
    }
    const names = new Set(content.flatMap((write) => [...write.fields.keys()]));
    for (const name of names) {
      const value = document[name];
      if (value === undefined) this.#checkGone(name);
      else this.#checkValue(name, value);
    }
    for (const name of Object.keys(document)) {
      if (!names.has(name)) this.#complain(`field ${name} was never written`);
    }
    if (this.#putRule === "replaced") this.#checkMixture(document);
  }

  /** No known write of the field may have been overruled by a removal that it had seen, or by nothing. */
  #checkGone(name: string): void {
    for (const write of this.#writes) {
      if (write.isDelete || this.#isExcused(write)) continue;
      if (write.fields.get(name) === undefined) continue;
      const isExplained = this.#writes.some(
        (other) =>
          this.#mayBeat(other, write) &&
          (other.isDelete ||
            (this.#writesField(other, name) && other.fields.get(name) === undefined)),
      );
      const isSuperseded = this.#writes.some(
        (other) => this.#writesField(other, name) && this.#hasSeen(other, write),
      );
      if (!isExplained && !isSuperseded) {
        this.#complain(`field ${name} of write ${write.index} is gone without a reason`);
      }
    }
  }

  /** The value must be of a write that nobody overruled knowingly; every other one needs a rival to be gone. */
  #checkValue(name: string, value: number): void {
    const sources = this.#writes.filter((write) => write.fields.get(name) === value);
    const live = sources.filter((write) => !this.#isDeletedForGood(write));
    if (sources.length > 0 && live.length === 0) {
      this.#complain(`field ${name}=${value} returned after a delete that had seen it`);
      return;
    }
    const standing = live.filter(
      (write) =>
        !this.#writes.some(
          (other) =>
            this.#writesField(other, name) &&
            !this.#isExcused(other) &&
            this.#hasSeen(other, write),
        ),
    );
    if (standing.length === 0) {
      this.#complain(`field ${name}=${value} stands, though a write that had seen it replaced it`);
    }
    for (const write of this.#writes) {
      if (!this.#writesField(write, name) || this.#isExcused(write)) continue;
      if (write.fields.get(name) === value) continue;
      const isExplained = this.#writes.some(
        (other) =>
          this.#mayBeat(other, write) && (other.isDelete || this.#writesField(other, name)),
      );
      if (!isExplained) this.#complain(`write ${write.index} of field ${name} lost to nothing`);
    }
  }

  /** Fields that only replacements can have brought must all be of one replacement. */
  #checkMixture(document: NonNullable<Seen>): void {
    let common: Set<Write> | undefined;
    for (const [name, value] of Object.entries(document)) {
      const sources = this.#writes.filter((write) => write.fields.get(name) === value);
      if (sources.length === 0 || sources.some((write) => !write.isReplacement)) continue;
      const previous: Set<Write> | undefined = common;
      common = new Set(sources.filter((write) => previous === undefined || previous.has(write)));
      if (common.size > 0) continue;
      this.#complain(`${print(document)} mixes fields of two replacements`);
      return;
    }
  }
}

function print(document: Seen): string {
  if (document === undefined) return "nothing";
  return JSON.stringify(Object.fromEntries(Object.entries(document).sort()));
}
