// The archive that a deb is.
import { expect, test } from "bun:test";
import { compressDeb, readArchive, writeArchive } from "../../../scripts/package/deb-archive.ts";
import { tempFolder } from "../../support/temp-folder.ts";

function member(name: string, text: string): string {
  const head = `${name.padEnd(16)}1700000000  0     0     100644  ${String(text.length).padEnd(10)}\`\n`;
  return `${head}${text}${text.length % 2 === 1 ? "\n" : ""}`;
}

const DEB = Buffer.from(
  `!<arch>\n${member("debian-binary", "2.0\n")}${member("control.tar.gz", "odd")}${member("data.tar", "files")}`,
);

test("what is read is written again byte for byte", () => {
  const members = readArchive(DEB);
  expect(members.map(({ name }) => name)).toEqual(["debian-binary", "control.tar.gz", "data.tar"]);
  expect(Buffer.from(writeArchive(members)).equals(DEB)).toBe(true);
});

test("an archive that is cut anywhere within a member is refused, and so is anything else", () => {
  // Behind a whole member, with and without the byte that makes it even.
  const ends = [8 + 64, 8 + 64 + 63, 8 + 64 + 64];
  for (let end = 9; end < DEB.length - 1; end += 1) {
    if (!ends.includes(end)) expect(() => readArchive(DEB.subarray(0, end))).toThrow(/damaged/);
  }
  expect(() => readArchive(Buffer.from("!<arsch>\nx"))).toThrow("no ar archive");
});

const missing = Bun.which("xz") === null;
test.skipIf(missing)(
  "the files alone are compressed, and come out as they were (needs xz)",
  async () => {
    using folder = tempFolder();
    const path = folder.file("x.deb");
    await Bun.write(path, DEB);
    await compressDeb(path);
    const [version, control, data] = readArchive(await Bun.file(path).bytes());
    expect([version?.name, control?.name, data?.name]).toEqual([
      "debian-binary",
      "control.tar.gz",
      "data.tar.xz",
    ]);
    expect(Buffer.from(control?.bytes ?? []).toString()).toBe("odd");
    const out = Bun.spawnSync(["xz", "-dc"], { stdin: data?.bytes ?? new Uint8Array() });
    expect(out.stdout.toString()).toBe("files");
  },
);
