// Collects what was measured and prints it as one table, each figure beside its aim.
import { median, percentile, printNumber } from "../support/percentiles.ts";

export interface Aim {
  readonly atMost?: number;
  readonly atLeast?: number;
}

interface Row {
  readonly group: string;
  readonly name: string;
  readonly value: number | string;
  readonly unit: string;
  readonly aim: Aim | undefined;
  readonly spread: string;
}

function isMet(value: number, { atMost, atLeast }: Aim): boolean {
  return value <= (atMost ?? Number.POSITIVE_INFINITY) && value >= (atLeast ?? 0);
}

function printAim(row: Row): string {
  if (row.aim === undefined || typeof row.value === "string") return "";
  const { atMost, atLeast } = row.aim;
  const bound = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`;
  return `${bound} ${isMet(row.value, row.aim) ? "met" : "MISSED"}`;
}

export class Report {
  readonly #rows: Row[] = [];
  #group = "";

  /** Everything added from now on stands under this heading. */
  begin(group: string): void {
    this.#group = group;
    console.log(`\n${group}`);
  }

  /** The median of several measurements of one thing; what they spread over is told too. */
  add(name: string, values: readonly number[], unit: string, aim?: Aim): number {
    const value = median(values);
    const low = printNumber(percentile(values, 0));
    const high = printNumber(percentile(values, 100));
    const spread = values.length > 1 ? `${low} … ${high}, n=${values.length}` : "";
    this.#push({ group: this.#group, name, value, unit, aim, spread });
    return value;
  }

  /** What could not be measured, or is not a number. */
  note(name: string, text: string): void {
    this.#push({
      group: this.#group,
      name,
      value: text,
      unit: "",
      aim: undefined,
      spread: "",
    });
  }

  #push(row: Row): void {
    this.#rows.push(row);
    const value = typeof row.value === "number" ? printNumber(row.value) : row.value;
    console.log(`  ${row.name}: ${value} ${row.unit} ${printAim(row)}`.trimEnd());
  }

  print(): void {
    const texts = this.#rows.map((row) => ({
      group: row.group,
      name: row.name,
      value: typeof row.value === "number" ? printNumber(row.value) : row.value,
      unit: row.unit,
      aim: printAim(row),
      spread: row.spread,
    }));
    const widthOf = (pick: (row: (typeof texts)[number]) => string, most: number): number =>
      Math.min(most, Math.max(...texts.map((row) => pick(row).length)));
    const nameWidth = widthOf((row) => row.name, 60);
    const valueWidth = widthOf((row) => row.value, 12);
    const unitWidth = widthOf((row) => row.unit, 20);
    const aimWidth = widthOf((row) => row.aim, 24);
    let group = "";
    for (const row of texts) {
      if (row.group !== group) {
        group = row.group;
        console.log(`\n${group}`);
      }
      const cells = [
        row.name.padEnd(nameWidth),
        row.value.padStart(valueWidth),
        row.unit.padEnd(unitWidth),
        row.aim.padEnd(aimWidth),
        row.spread,
      ];
      console.log(`  ${cells.join("  ").trimEnd()}`);
    }
  }

  /** How many figures have an aim. */
  get aims(): number {
    return this.#rows.filter((row) => row.aim !== undefined).length;
  }

  /** Names of the aims that were missed. */
  get missed(): string[] {
    return this.#rows.flatMap(({ group, name, value, aim }) =>
      aim !== undefined && typeof value === "number" && !isMet(value, aim)
        ? [`${group}: ${name.trim()}`]
        : [],
    );
  }
}
