// The files of a backup as one tar archive (POSIX ustar, pax interchange format of IEEE Std 1003.1), so that other
// programs can take them out. Its bytes follow from the manifest: a reader expects them one by one and parses none.
//
//   archive = ( header [512] || content || zeros up to a multiple of 512 )* || zeros [1024]
import { toUtf8 } from "../base/bytes.ts";
import type { BackupFile, Manifest } from "./manifest.ts";

const BLOCK_BYTES = 512;
/** What an archive ends with. */
const END_BYTES = 2 * BLOCK_BYTES;
/** Of an octal size of 11 digits; larger ones are base 256, as GNU's tar and others have it. */
const OCTAL_MAX = 8 ** 11;
const MODE = "0000600";

/** Bytes that are known, or a file's content in its place. */
export type Segment =
  | { readonly kind: "fixed"; readonly bytes: Uint8Array }
  | { readonly kind: "content"; readonly file: BackupFile };

function putText(block: Uint8Array, at: number, text: string): void {
  block.set(toUtf8(text), at);
}

function putSize(block: Uint8Array, bytes: number): void {
  if (bytes < OCTAL_MAX) {
    putText(block, 124, bytes.toString(8).padStart(11, "0"));
    return;
  }
  const view = new DataView(block.buffer);
  view.setUint8(124, 0x80);
  view.setBigUint64(128, BigInt(bytes));
}

function header({ name, bytes }: BackupFile, atSecs: number): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  putText(block, 0, name);
  putText(block, 100, MODE);
  putText(block, 108, "0000000");
  putText(block, 116, "0000000");
  putSize(block, bytes);
  putText(block, 136, atSecs.toString(8).padStart(11, "0"));
  putText(block, 148, " ".repeat(8));
  putText(block, 156, "0");
  putText(block, 257, "ustar\u000000");
  const sum = block.reduce((total, byte) => total + byte, 0);
  putText(block, 148, `${sum.toString(8).padStart(6, "0")}\u0000 `);
  return block;
}

/** Contents are filled up to whole blocks. */
const paddingOf = ({ bytes }: BackupFile): number =>
  (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;

/** The archive of these files, in order. */
export function layOut({ files, madeAtMs }: Pick<Manifest, "files" | "madeAtMs">): Segment[] {
  const atSecs = Math.min(Math.floor(madeAtMs / 1000), OCTAL_MAX - 1);
  const segments = files.flatMap((file): Segment[] => {
    return [
      { kind: "fixed", bytes: header(file, atSecs) },
      { kind: "content", file },
      { kind: "fixed", bytes: new Uint8Array(paddingOf(file)) },
    ];
  });
  return [...segments, { kind: "fixed", bytes: new Uint8Array(END_BYTES) }];
}

/** Of the whole archive of these files. */
export function archiveBytes({ files }: Pick<Manifest, "files">): number {
  const sizes = files.map((file) => BLOCK_BYTES + file.bytes + paddingOf(file));
  return sizes.reduce((sum, bytes) => sum + bytes, END_BYTES);
}
