import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../../../src/base/faults.ts";
import { prepareDataDir } from "../../../src/config/data-dir.ts";
import { systemHost } from "../../../src/config/host.ts";

const root = mkdtempSync(join(tmpdir(), "peat-data-dir-"));
afterAll(() => rmSync(root, { recursive: true }));

function faultOf(run: () => void): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error("expected a Fault");
}

test("a missing directory is made, with what is above it, and closed to others", () => {
  const path = join(root, "a", "b");
  prepareDataDir(path);
  expect(statSync(path).mode & 0o007).toBe(0);
  prepareDataDir(path);
});

test("a file in its place is a fault that names the path and the setting", () => {
  const path = join(root, "file");
  writeFileSync(path, "");
  for (const used of [path, join(path, "below")]) {
    const fault = faultOf(() => prepareDataDir(used));
    expect(fault.code).toBe("storage_unusable");
    expect(fault.message).toContain(`${used} is not a directory; set PEAT_DATA_DIR`);
  }
});

test("a directory on a read-only file system is not writable", () => {
  // /proc takes no new directories, not even from root.
  const fault = faultOf(() => prepareDataDir("/proc/peat"));
  expect(fault.message).toContain("data directory /proc/peat");
  expect(fault.exitCode).toBe(73);
});

test("the host tells which directories can be written and reads small files only", () => {
  expect(systemHost.isWritableDirectory(root)).toBe(true);
  expect(systemHost.isWritableDirectory(join(root, "gone"))).toBe(false);
  writeFileSync(join(root, "secret"), "abc\n");
  expect(systemHost.readText(join(root, "secret"))).toBe("abc\n");
  expect(() => systemHost.readText(root)).toThrow("directory");
  writeFileSync(join(root, "large"), Buffer.alloc(1024 * 1024 + 1));
  expect(() => systemHost.readText(join(root, "large"))).toThrow("larger");
});
