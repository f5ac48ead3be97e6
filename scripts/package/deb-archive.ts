// A deb is an ar archive of three members. nfpm's own xz is a fifth larger than that of xz-utils; so nfpm leaves the
// files uncompressed, and they are compressed here.
import { assert } from "../../src/base/assert.ts";

const MAGIC = "!<arch>\n";
/** Name, time, owner, group, mode, size, end: text in columns of fixed width (deb(5), ar(5)). */
const HEADER_BYTES = 60;
const NAME_BYTES = 16;
const SIZE_AT = 48;
const SIZE_BYTES = 10;

interface Member {
  readonly name: string;
  /** As it was, for all but name and size. */
  readonly header: string;
  readonly bytes: Uint8Array;
}

/** The members of an archive, in order. Throws on what is none. */
export function readArchive(archive: Uint8Array): Member[] {
  const text = (from: number, to: number) =>
    Buffer.from(archive.subarray(from, to)).toString("latin1");
  if (text(0, MAGIC.length) !== MAGIC) throw new Error("this is no ar archive");
  const members: Member[] = [];
  for (let at = MAGIC.length; at < archive.length; ) {
    const header = text(at, at + HEADER_BYTES);
    const size = Number(header.slice(SIZE_AT, SIZE_AT + SIZE_BYTES));
    const start = at + HEADER_BYTES;
    if (!header.endsWith("`\n") || !Number.isSafeInteger(size) || start + size > archive.length) {
      throw new Error(`the ar archive is damaged at byte ${at}`);
    }
    const name = header.slice(0, NAME_BYTES).trimEnd().replace(/\/$/, "");
    members.push({ name, header, bytes: archive.subarray(start, start + size) });
    at = start + size + (size % 2);
  }
  return members;
}

export function writeArchive(members: readonly Member[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(MAGIC)];
  for (const { name, header, bytes } of members) {
    const size = String(bytes.length).padEnd(SIZE_BYTES);
    const middle = header.slice(NAME_BYTES, SIZE_AT);
    assert(name.length <= NAME_BYTES && size.length === SIZE_BYTES, "an ar header has its columns");
    parts.push(Buffer.from(`${name.padEnd(NAME_BYTES)}${middle}${size}\`\n`), bytes);
    if (bytes.length % 2 === 1) parts.push(Buffer.from("\n"));
  }
  return Buffer.concat(parts);
}

/** One thread: of more, the bytes would depend on how many there are. */
function xz(bytes: Uint8Array): Uint8Array {
  const done = Bun.spawnSync(["xz", "-6", "--threads=1", "--stdout"], {
    stdin: bytes,
    stderr: "pipe",
  });
  if (!done.success) throw new Error(`xz failed: ${done.stderr.toString().trim()}`);
  return done.stdout;
}

/** Compresses the files of a deb that has them uncompressed, in place. */
export async function compressDeb(path: string): Promise<void> {
  const members = readArchive(await Bun.file(path).bytes()).map((member) =>
    member.name === "data.tar"
      ? { ...member, name: "data.tar.xz", bytes: xz(member.bytes) }
      : member,
  );
  await Bun.write(path, writeArchive(members));
}
