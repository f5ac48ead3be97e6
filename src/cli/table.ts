// Tables for people: columns as wide as what is in them, on a terminal no wider than it. What does not fit is
// narrowed where that hurts least, then left out by rank; a pipe gets everything.
import type { Paint, Tone } from "./style.ts";
import { safeText } from "./terminal-text.ts";

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** May be cut down to so many cells, with an ellipsis. */
  readonly shrinksTo?: number;
  /** Left out where there is no room; the highest first. A column without one stays. */
  readonly rank?: number;
  /** Where there is no room for it, its text goes below its row. Only the last column may be one. */
  readonly isNote?: boolean;
}

export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}

export type Row = readonly (Cell | string)[];

export interface TableStyle {
  readonly paint: Paint;
  /** In cells; undefined for a pipe, which has no end. */
  readonly width: number | undefined;
}

const GAP = 2;
const NOTE_INDENT = 4;
const NOTE_WIDTH_MIN = 20;

interface Shown {
  readonly column: Column;
  /** Its place in a row. */
  readonly at: number;
  width: number;
}

/** Cut to so many cells, with an ellipsis where something is gone. */
export function cutText(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  if (width < 1) return "";
  const cut = Bun.sliceAnsi(text, 0, width - 1);
  // Bun takes a wide character whose first half fits.
  return `${Bun.stringWidth(cut) < width ? cut : Bun.sliceAnsi(text, 0, width - 2)}…`;
}

const toCell = (cell: Cell | string | undefined): Cell =>
  typeof cell === "object"
    ? { text: safeText(cell.text), tone: cell.tone }
    : { text: safeText(cell ?? ""), tone: "plain" };

const totalWidth = (shown: readonly Shown[]): number =>
  shown.reduce((sum, { width }) => sum + width, 0) + GAP * Math.max(0, shown.length - 1);

/** Takes cells from the columns that may shrink, the widest first, until all fits or none can give more. */
function shrunk(natural: readonly Shown[], width: number): readonly Shown[] {
  const shown = natural.map((one) => ({ ...one }));
  while (totalWidth(shown) > width) {
    const [widest, second] = shown
      .filter((one) => one.width > (one.column.shrinksTo ?? Number.POSITIVE_INFINITY))
      .sort((a, b) => b.width - a.width);
    if (widest === undefined) return shown;
    const next = Math.min(second?.width ?? 0, widest.width - 1);
    const needed = widest.width - (totalWidth(shown) - width);
    widest.width = Math.max(widest.column.shrinksTo ?? 0, next, needed);
  }
  return shown;
}

/** Prints rows in portions: the first one decides how wide the columns are. */
export class Table {
  readonly #columns: readonly Column[];
  readonly #style: TableStyle;
  #shown: readonly Shown[] | undefined;
  #note: number | undefined;
  readonly #hidden: string[] = [];

  constructor(columns: readonly Column[], style: TableStyle) {
    this.#columns = columns.map((column) => ({ ...column, title: safeText(column.title) }));
    this.#style = style;
  }

  /** Titles of the columns for which there was no room. */
  get hidden(): readonly string[] {
    return this.#hidden;
  }

  /** The lines of these rows, below the heading if they are the first ones. */
  print(rows: readonly Row[]): string {
    const cells = rows.map((row) => this.#columns.map((_, at) => toCell(row[at])));
    const heading = this.#shown === undefined ? this.#printHeading(cells) : "";
    return heading + cells.map((row) => this.#printRow(row)).join("");
  }

  #printHeading(rows: readonly (readonly Cell[])[]): string {
    const shown = this.#columns.map((column, at): Shown => {
      const widths = rows.map((row) => Bun.stringWidth(row[at]?.text ?? ""));
      const widest = widths.reduce((most, one) => Math.max(most, one), 0);
      return { column, at, width: Math.max(Bun.stringWidth(column.title), widest) };
    });
    this.#shown = this.#fit(shown);
    const titles = this.#columns.map(({ title }): Cell => ({ text: title, tone: "strong" }));
    return this.#printLine(titles);
  }

  /** The columns that are shown, with their widths. */
  #fit(all: readonly Shown[]): readonly Shown[] {
    const { width } = this.#style;
    if (width === undefined || totalWidth(all) <= width) return all;
    const note = all.findIndex(({ column }) => column.isNote === true);
    if (note !== -1) this.#note = note;
    const kept = all.filter(({ at }) => at !== note);
    while (true) {
      const shown = shrunk(kept, width);
      const ranks = shown.map(({ column }) => column.rank ?? 0);
      const highest = Math.max(...ranks);
      if (totalWidth(shown) <= width || highest <= 0) return shown;
      const [left] = kept.splice(ranks.lastIndexOf(highest), 1);
      if (left !== undefined) this.#hidden.unshift(left.column.title);
    }
  }

  #printLine(row: readonly Cell[]): string {
    const { paint } = this.#style;
    const texts = (this.#shown ?? []).map(({ column, at, width }) => {
      const { text, tone } = row[at] ?? { text: "", tone: "plain" };
      const cut = this.#style.width === undefined ? text : cutText(text, width);
      const blank = " ".repeat(Math.max(0, width - Bun.stringWidth(cut)));
      return column.align === "right" ? blank + paint(cut, tone) : paint(cut, tone) + blank;
    });
    return `${texts.join(" ".repeat(GAP)).trimEnd()}\n`;
  }

  #printRow(row: readonly Cell[]): string {
    const line = this.#printLine(row);
    const note = this.#note === undefined ? undefined : row[this.#note];
    if (note === undefined || note.text === "") return line;
    const room = Math.max(NOTE_WIDTH_MIN, (this.#style.width ?? 0) - NOTE_INDENT);
    const wrapped = Bun.wrapAnsi(note.text, room, { hard: true }).split("\n");
    const indent = " ".repeat(NOTE_INDENT);
    return (
      line + wrapped.map((text) => `${indent}${this.#style.paint(text, note.tone)}\n`).join("")
    );
  }
}
