// How far an import has come, in a file beside what is imported: so much that another run of the command goes on there.
import { rename, rm } from "node:fs/promises";
import { Fault } from "../../base/faults.ts";
import { fieldsOf } from "../../base/fields.ts";

/** What tells one import from another: what is read, how it is understood, and where it goes. */
export type ImportMark = Readonly<Record<string, unknown>>;

export interface Place {
  /** Records from the beginning that need no second look. */
  readonly records: number;
  readonly written: number;
  readonly rejected: number;
}

export const BEGINNING: Place = { records: 0, written: 0, rejected: 0 };

function printMark(mark: ImportMark): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(mark)).digest("hex");
}

function readCount(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : -1;
}

/** Where an earlier run ended; the beginning where there was none. Fault `conflict` when it was another import. */
export async function readPlace(path: string, mark: ImportMark): Promise<Place> {
  const file = Bun.file(path);
  if (!(await file.exists())) return BEGINNING;
  let fields: ReturnType<typeof fieldsOf> = {};
  try {
    fields = fieldsOf(JSON.parse(await file.text()));
  } catch {
    // Told below, as any other text that is none of ours.
  }
  const [records, written, rejected] = ["records", "written", "rejected"].map((name) =>
    readCount(fields[name]),
  );
  if (records === undefined || records < 0 || written === undefined || rejected === undefined) {
    throw new Fault("conflict", `${path} does not tell how far an import came; remove it`);
  }
  // Nothing is passed over: whose beginning it is does not matter.
  if (records === 0) return BEGINNING;
  if (fields["mark"] === printMark(mark)) return { records, written, rejected };
  throw new Fault(
    "conflict",
    `${path} tells how far another import came: of another file, of this one before it was changed, or with other options; remove it to begin at the beginning`,
  );
}

/** In place of what was told before, whole. */
export async function writePlace(path: string, place: Place, mark: ImportMark) {
  const fresh = `${path}.new`;
  await Bun.write(fresh, `${JSON.stringify({ ...place, mark: printMark(mark) })}\n`);
  await rename(fresh, path);
}

export async function removePlace(path: string): Promise<void> {
  await rm(path, { force: true });
}
