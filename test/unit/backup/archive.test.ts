import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeHead, encodeLengths, encodeTail, sha256 } from "../../../src/backup/format.ts";
import { type BackupFile, DATABASE_FILE, type Manifest } from "../../../src/backup/manifest.ts";
import { readBackup } from "../../../src/backup/reader.ts";
import { layOut } from "../../../src/backup/tar-layout.ts";
import { writeBackup } from "../../../src/backup/writer.ts";
import { concatBytes, toHex, toUtf8 } from "../../../src/base/bytes.ts";
import { Fault } from "../../../src/base/faults.ts";

const HASH = "ab".repeat(32);

function manifestOf(contents: ReadonlyMap<string, Uint8Array>): Manifest {
  return {
    program: "1.2.3",
    madeAtMs: 1_800_000_000_123,
    node: "node-a",
    formation: "00112233",
    storeId: "0011223344556677",
    schema: 5,
    documents: 2,
    tombstones: 1,
    keys: ["0123456789abcdef"],
    checked: "hashes",
    damaged: 0,
    files: [...contents].map(([name, bytes]) => ({
      name,
      bytes: bytes.length,
      sha256: toHex(sha256(bytes)),
    })),
  };
}

async function* inPieces(bytes: Uint8Array, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function pack(contents: ReadonlyMap<string, Uint8Array>, manifest = manifestOf(contents)) {
  const pieces: Uint8Array[] = [];
  await writeBackup({
    manifest,
    contentOf: ({ name }) => inPieces(contents.get(name) ?? new Uint8Array(0), 5000),
    sink: async (bytes) => {
      pieces.push(bytes.slice());
    },
  });
  return concatBytes(pieces);
}

async function unpack(bytes: Uint8Array, pieceLength = 7000) {
  const contents = new Map<string, Uint8Array>();
  const manifest = await readBackup({
    source: inPieces(bytes, pieceLength),
    onManifest: async () => undefined,
    open: async ({ name }: BackupFile) => {
      const pieces: Uint8Array[] = [];
      return {
        write: async (piece) => {
          pieces.push(piece.slice());
        },
        end: async () => {
          contents.set(name, concatBytes(pieces));
        },
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
  });
  return { manifest, contents };
}

async function refusal(bytes: Uint8Array): Promise<Fault> {
  const thrown = await unpack(bytes).catch((error: unknown) => error);
  if (thrown instanceof Fault) return thrown;
  throw new Error(`no fault: ${thrown}`);
}

const CONTENTS = new Map([
  [DATABASE_FILE, toUtf8("the database ".repeat(200))],
  [`attachments/${HASH}`, new Uint8Array(0)],
  [`attachments/${HASH}.tree`, new Uint8Array(512).fill(7)],
]);

test("what is written is read again, in pieces of any length", async () => {
  const length = fc.integer({ min: 0, max: 3000 });
  await fc.assert(
    fc.asyncProperty(length, length, fc.integer({ min: 1, max: 4000 }), async (a, b, piece) => {
      const contents = new Map([
        [DATABASE_FILE, crypto.getRandomValues(new Uint8Array(a))],
        [`attachments/${HASH}`, new Uint8Array(b).fill(b % 256)],
      ]);
      const bytes = await pack(contents);
      const read = await unpack(bytes, piece);
      expect(read.contents).toEqual(contents);
      expect(read.manifest).toEqual(manifestOf(contents));
    }),
    { numRuns: 25 },
  );
});

test("content of several pieces keeps its order", async () => {
  const contents = new Map([[DATABASE_FILE, crypto.getRandomValues(new Uint8Array(65_536))]]);
  const large = new Map([
    [
      DATABASE_FILE,
      concatBytes(
        Array.from({ length: 70 }, () => contents.get(DATABASE_FILE) ?? new Uint8Array()),
      ),
    ],
  ]);
  expect((await unpack(await pack(large), 100_000)).contents).toEqual(large);
});

test("a zstd and a tar that know nothing of us give the files", async () => {
  const bytes = await pack(CONTENTS);
  const tar = new Uint8Array(Bun.zstdDecompressSync(Buffer.from(bytes)));
  expect(tar.length % 512).toBe(0);
  const archive = new Bun.Archive(tar);
  const files = await archive.files();
  for (const [name, content] of CONTENTS) {
    expect(toHex((await files.get(name)?.bytes()) ?? new Uint8Array(1))).toBe(toHex(content));
  }
});

test("every flipped byte is refused", async () => {
  const bytes = await pack(CONTENTS);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    expect((await refusal(changed)).code).toBe("backup_unusable");
  }
});

test("every shorter one is refused, and one that goes on", async () => {
  const bytes = await pack(CONTENTS);
  for (let length = 0; length < bytes.length; length += 1) {
    expect((await refusal(bytes.subarray(0, length))).code).toBe("backup_unusable");
  }
  const longer = await refusal(concatBytes([bytes, Uint8Array.of(0)]));
  expect(longer.message).toContain("something follows its end");
});

/** A backup whose sums are right, and whose content somebody else has chosen. */
function forge(manifest: Manifest, plain: Uint8Array, told = plain.length): Uint8Array {
  const packed = Bun.zstdCompressSync(plain);
  const lengths = encodeLengths({ packed: packed.length, plain: told });
  const before = concatBytes([encodeHead(manifest), lengths, packed]);
  return concatBytes([before, encodeTail({ bytes: before.length, sum: sha256(before) })]);
}

describe("somebody's backup whose sums are right is refused", () => {
  const good = manifestOf(CONTENTS);
  const [database] = good.files;
  const fileOf = (name: string) => ({ name, bytes: 0, sha256: HASH });
  const manifests: Record<string, Manifest> = {
    "without a database": { ...good, files: [fileOf(`attachments/${HASH}`)] },
    "with no file at all": { ...good, files: [] },
    "with a path that leads out": {
      ...good,
      files: [database ?? fileOf(""), fileOf("attachments/../../../etc/passwd")],
    },
    "with an absolute path": { ...good, files: [database ?? fileOf(""), fileOf("/etc/passwd")] },
    "with a file twice": { ...good, files: [database ?? fileOf(""), fileOf(DATABASE_FILE)] },
    "with a length that is none": {
      ...good,
      files: [{ name: DATABASE_FILE, bytes: -1, sha256: HASH }],
    },
    "with a sum that is none": {
      ...good,
      files: [{ name: DATABASE_FILE, bytes: 1, sha256: "zz" }],
    },
    "with a name of a node that is none": { ...good, node: "a\u001b[31m" },
    "with a count that is none": { ...good, documents: 1.5 },
  };
  for (const [name, manifest] of Object.entries(manifests)) {
    test(name, async () => {
      expect((await refusal(forge(manifest, toUtf8("x")))).code).toBe("backup_unusable");
    });
  }

  test("with other content than its manifest says", async () => {
    const manifest = manifestOf(new Map([[DATABASE_FILE, toUtf8("abc")]]));
    const tar = layOut(manifest).map((segment) =>
      segment.kind === "fixed" ? segment.bytes : toUtf8("abd"),
    );
    const fault = await refusal(forge(manifest, concatBytes(tar)));
    expect(fault.message).toContain(`${DATABASE_FILE} in it is not what its manifest says`);
  });

  test("with more or less content than its manifest says", async () => {
    const manifest = manifestOf(new Map([[DATABASE_FILE, toUtf8("abc")]]));
    const tar = concatBytes(
      layOut(manifest).map((segment) => (segment.kind === "fixed" ? segment.bytes : toUtf8("abc"))),
    );
    const longer = forge(manifest, concatBytes([tar, Uint8Array.of(0)]));
    expect((await refusal(longer)).message).toContain("more in it than its manifest says");
    const shorter = forge(manifest, tar.subarray(0, -1));
    expect((await refusal(shorter)).message).toContain("ends in the middle");
  });

  test("that unpacks to more than it says, before there is more of it in memory", async () => {
    const fault = await refusal(forge(good, new Uint8Array(900_000), 1000));
    expect(fault.message).toContain("can't be unpacked");
  });

  test("that says one piece is larger than any may be", async () => {
    const fault = await refusal(forge(good, new Uint8Array(1000), 0xffff_ffff));
    expect(fault.message).toContain("longer than any may be");
  });
});

test("a later version of the format is told apart from damage", async () => {
  const bytes = await pack(CONTENTS);
  const later = bytes.slice();
  later[16] = 2;
  expect((await refusal(later)).message).toContain("has version 2 of the format");
});

test("what is no backup is told to be none", async () => {
  for (const text of ["", "x", "PK\u0003\u0004 and so on and on", "{}".repeat(100)]) {
    expect((await refusal(toUtf8(text))).code).toBe("backup_unusable");
  }
});

test("a file beyond the octal lengths of tar has one that others read", () => {
  const bytes = 8 ** 11 + 5;
  const [segment] = layOut({
    madeAtMs: 0,
    files: [{ name: DATABASE_FILE, bytes, sha256: HASH }],
  });
  const block = segment?.kind === "fixed" ? segment.bytes : new Uint8Array(0);
  expect(block[124]).toBe(0x80);
  expect(new DataView(block.buffer).getBigUint64(128)).toBe(BigInt(bytes));
});
