// Sums over some of the rows, made when they are asked for and kept up with every change; a bounded number of them.
import type { CountedRow } from "./row.ts";
import { Sums } from "./sums.ts";

type SummedRow = Pick<CountedRow, "bucket" | "key" | "hash" | "due">;

export interface PartOfRows {
  /** Equal for equal parts. */
  readonly name: string;
  readonly has: (row: SummedRow) => boolean;
  /** All rows that may be in it. */
  readonly rows: () => Iterable<SummedRow>;
}

export class PartialSums {
  readonly #max: number;
  readonly #parts = new Map<string, PartOfRows & { readonly sums: Sums }>();

  /** `max` of them are kept, the newest; each is 70 KB. */
  constructor(max: number) {
    this.#max = max;
  }

  of(part: PartOfRows): Sums {
    const known = this.#parts.get(part.name);
    if (known !== undefined) return known.sums;
    const sums = new Sums();
    for (const row of part.rows()) {
      if (part.has(row)) sums.add(row.bucket, row.key, row.hash);
    }
    for (const oldest of this.#parts.keys()) {
      if (this.#parts.size < this.#max) break;
      this.#parts.delete(oldest);
    }
    this.#parts.set(part.name, { ...part, sums });
    return sums;
  }

  change(row: SummedRow, change: "add" | "remove"): void {
    for (const { has, sums } of this.#parts.values()) {
      if (has(row)) sums[change](row.bucket, row.key, row.hash);
    }
  }

  clear(): void {
    this.#parts.clear();
  }
}
