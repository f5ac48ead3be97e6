import { describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { clearSocketPath, grantSocket, withSocketRights } from "../../../src/access/unix-socket.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { getLog } from "../../../src/base/log.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const log = getLog("peat_mesh::rpc");

/** The fault's code and sentence, or "clear". */
async function clear(path: string): Promise<string> {
  return await clearSocketPath({ path, setting: "PEAT_LISTEN", clock: systemClock, log }).then(
    () => "clear",
    (fault) => `${fault.code}: ${fault.message}`,
  );
}

/** A socket file whose process is gone: killed, so that it could not remove it. */
async function leaveSocket(path: string): Promise<void> {
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `require("node:net").createServer().listen({ path: ${JSON.stringify(path)} }, () => process.kill(process.pid, "SIGKILL"))`,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  await child.exited;
  expect(lstatSync(path).isSocket()).toBe(true);
}

describe("the path of a unix socket", () => {
  test("is made free of a socket whose process is gone", async () => {
    using folder = tempFolder();
    const path = folder.file("a.sock");
    await leaveSocket(path);
    expect(await clear(path)).toBe("clear");
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("is refused while somebody listens there, and stays theirs", async () => {
    using folder = tempFolder();
    const path = folder.file("a.sock");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ path }, resolve));
    expect(await clear(path)).toContain("is in use by another process");
    expect(lstatSync(path).isSocket()).toBe(true);
    server.close();
  });

  test("is refused when it is a file, a folder or a link, which stay as they are", async () => {
    using folder = tempFolder();
    const file = folder.file("file");
    const link = folder.file("link");
    const inner = folder.file("folder");
    writeFileSync(file, "precious");
    symlinkSync(folder.file("elsewhere"), link);
    mkdirSync(inner);
    expect(await clear(file)).toContain("no socket");
    expect(await Bun.file(file).text()).toBe("precious");
    expect(await clear(link)).toContain("symbolic link");
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(await clear(inner)).toContain("no socket");
  });

  test("is refused as a link to a socket whose process is gone", async () => {
    using folder = tempFolder();
    const path = folder.file("a.sock");
    await leaveSocket(path);
    symlinkSync(path, folder.file("link"));
    expect(await clear(folder.file("link"))).toContain("symbolic link");
    expect(lstatSync(path).isSocket()).toBe(true);
  });

  test("is refused when it is too long for the kernel, in bytes", async () => {
    using folder = tempFolder();
    const room = 107 - Buffer.byteLength(folder.file("x")) + 1;
    expect(await clear(folder.file("a".repeat(room)))).toBe("clear");
    expect(await clear(folder.file("a".repeat(room + 1)))).toContain("108 bytes");
    expect(await clear(folder.file("ü".repeat(room)))).toContain("at most 107");
  });

  test("has its folder made, or the reason told why it can't be", async () => {
    using folder = tempFolder();
    expect(await clear(join(folder.path, "x", "y", "a.sock"))).toBe("clear");
    expect(statSync(join(folder.path, "x", "y")).isDirectory()).toBe(true);
    writeFileSync(folder.file("file"), "");
    expect(await clear(join(folder.path, "file", "a.sock"))).toStartWith("address_unavailable");
  });
});

describe("a bound socket", () => {
  test("is open to owner and group from its first moment, whatever the umask", async () => {
    using folder = tempFolder();
    const path = folder.file("a.sock");
    const umask = process.umask(0);
    const server = createServer();
    withSocketRights(() => server.listen({ path }));
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect(process.umask(umask)).toBe(0);
    server.close();
  });

  test("is given to a group by name or number, with its rights", async () => {
    using folder = tempFolder();
    const path = folder.file("a.sock");
    const server = createServer();
    withSocketRights(() => server.listen({ path }));
    const own = process.getgid?.() ?? 0;
    grantSocket(path, String(own));
    expect(statSync(path).gid).toBe(own);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect(statSync(path).uid).toBe(process.getuid?.() ?? 0);
    server.close();
  });

  test.skipIf(process.getuid?.() !== 0)("is given to any group by root (needs root)", () => {
    using folder = tempFolder();
    const path = folder.file("a.sock");
    const server = createServer();
    withSocketRights(() => server.listen({ path }));
    grantSocket(path, "daemon");
    expect(statSync(path).gid).toBe(1);
    expect(statSync(path).uid).toBe(0);
    server.close();
  });

  test("has no group that nobody knows", () => {
    using folder = tempFolder();
    expect(() => grantSocket(folder.file("a.sock"), "no-such-group")).toThrow("no group");
  });
});
