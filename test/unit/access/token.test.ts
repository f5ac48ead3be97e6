import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { loadOrMakeApiToken } from "../../../src/access/token.ts";
import { Fault } from "../../../src/base/faults.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const mode = (path: string) => statSync(path).mode & 0o777;

describe("the token of the runtime directory", () => {
  test("is made of 32 random bytes, for owner and group alone, whatever the umask", () => {
    using folder = tempFolder();
    const umask = process.umask(0o077);
    try {
      const token = loadOrMakeApiToken(folder.path).expose();
      expect(token).toMatch(/^[0-9a-f]{64}$/);
      expect(readFileSync(folder.file("token"), "utf8")).toBe(`${token}\n`);
      expect(mode(folder.file("token"))).toBe(0o640);
      expect(readdirSync(folder.path)).toEqual(["token"]);
    } finally {
      process.umask(umask);
    }
  });

  test("is the same after a restart, and another in another directory", () => {
    using folder = tempFolder();
    using other = tempFolder();
    const token = loadOrMakeApiToken(folder.path).expose();
    expect(loadOrMakeApiToken(folder.path).expose()).toBe(token);
    expect(loadOrMakeApiToken(other.path).expose()).not.toBe(token);
  });

  test("is made anew when everybody could have read it", () => {
    using folder = tempFolder();
    const token = loadOrMakeApiToken(folder.path).expose();
    chmodSync(folder.file("token"), 0o644);
    expect(loadOrMakeApiToken(folder.path).expose()).not.toBe(token);
    expect(mode(folder.file("token"))).toBe(0o640);
  });

  test.each(["", "short\n", "x".repeat(64), "a".repeat(1000)])(
    "is made anew when the file holds no token: %p",
    (text) => {
      using folder = tempFolder();
      writeFileSync(folder.file("token"), text, { mode: 0o640 });
      expect(loadOrMakeApiToken(folder.path).expose()).toMatch(/^[0-9a-f]{64}$/);
    },
  );

  test("is not read through a link, and what the link points to is left alone", () => {
    using folder = tempFolder();
    const theirs = `${"0".repeat(64)}\n`;
    writeFileSync(folder.file("theirs"), theirs, { mode: 0o640 });
    symlinkSync(folder.file("theirs"), folder.file("token"));
    expect(loadOrMakeApiToken(folder.path).expose()).not.toBe(theirs.trim());
    expect(readFileSync(folder.file("theirs"), "utf8")).toBe(theirs);
  });

  test("that can't be written is a fault that names the file and the setting", () => {
    using folder = tempFolder();
    const attempt = () => loadOrMakeApiToken(folder.file("missing"));
    expect(attempt).toThrow(Fault);
    expect(attempt).toThrow(/missing\/token.*PEAT_RUNTIME_DIR/);
  });
});
