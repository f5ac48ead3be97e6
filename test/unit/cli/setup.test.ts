// `setup` on machines that are folders, with systemctl answering as told.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../../src/base/faults.ts";
import { type Machine, type SetupRequest, setUp } from "../../../src/cli/setup.ts";
import { OTHER_SECRET, SECRET } from "../../support/load-settings.ts";
import { type TempFolder, tempFolder } from "../../support/temp-folder.ts";

let folder: TempFolder;
let calls: string[];
beforeEach(() => {
  folder = tempFolder({ isInMemory: true });
  calls = [];
});
afterEach(() => folder[Symbol.dispose]());

interface Traits {
  readonly systemd?: number;
  readonly isRunning?: boolean;
  readonly isSuperuser?: boolean;
  readonly isGood?: boolean;
}

function machine({
  systemd,
  isRunning = true,
  isSuperuser = true,
  isGood = true,
}: Traits): Machine {
  mkdirSync(folder.file("etc"), { recursive: true });
  if (systemd !== undefined && isRunning) {
    mkdirSync(folder.file("run/systemd/system"), { recursive: true });
  }
  return {
    root: folder.path,
    isSuperuser,
    run(command) {
      const line = command.join(" ");
      if (systemd === undefined) return { isGood: false, text: "no such program" };
      if (line === "systemctl --version") return { isGood: true, text: `systemd ${systemd} (x)\n` };
      calls.push(line);
      return { isGood, text: isGood ? "" : "Job for peat-sidecar.service failed.\nmore" };
    },
  };
}

const IN_STORE = "etc/credstore/peat-formation-secret";
const IN_SETTINGS = "etc/peat-sidecar/peat-formation-secret";

const run = (on: Machine, request: Partial<SetupRequest> = {}) =>
  setUp(on, { secret: undefined, mayReplace: false, mayStart: true, ...request });
const text = (path: string) => readFileSync(folder.file(path), "utf8");
const mode = (path: string) => statSync(folder.file(path)).mode & 0o777;

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("no fault");
}

describe("setup", () => {
  test("makes a secret of 32 bytes in systemd's store, for root alone, and restarts the service", () => {
    const lines = run(machine({ systemd: 252 }));
    expect(Buffer.from(text(IN_STORE).trim(), "base64")).toHaveLength(32);
    expect(mode(IN_STORE)).toBe(0o600);
    expect(mode("etc/credstore")).toBe(0o700);
    expect(calls[0]).toBe("systemctl restart peat-sidecar.service");
    expect(lines.join("\n")).not.toContain(text(IN_STORE).trim());
    expect(readdirSync(folder.file("etc/credstore"))).toEqual(["peat-formation-secret"]);
  });

  test("makes another one on every machine", () => {
    run(machine({ systemd: 257 }));
    const first = text(IN_STORE);
    run(machine({ systemd: 257 }), { mayReplace: true });
    expect(text(IN_STORE)).not.toBe(first);
  });

  test.each([249, undefined])("with systemd %p writes a file below the settings", (systemd) => {
    run(machine(systemd === undefined ? {} : { systemd }));
    expect(mode(IN_SETTINGS)).toBe(0o600);
  });

  test("gives that file to the service's group", () => {
    const on = machine({ systemd: 249 });
    writeFileSync(folder.file("etc/group"), "root:x:0:\nxpeat-sidecar:x:7:\npeat-sidecar:x:987:\n");
    // Only root can give files away; for others the machine refuses and nothing is left behind.
    if (process.getuid?.() === 0) {
      run(on);
      expect(statSync(folder.file(IN_SETTINGS)).gid).toBe(987);
      expect(mode(IN_SETTINGS)).toBe(0o640);
    } else {
      expect(faultOf(() => run(on)).code).toBe("settings_invalid");
      expect(readdirSync(folder.file("etc/peat-sidecar"))).toEqual([]);
    }
  });

  test("takes a secret that is given, with or without a line's end", () => {
    run(machine({ systemd: 252 }), { secret: `${SECRET}\n` });
    expect(text(IN_STORE)).toBe(`${SECRET}\n`);
  });

  test("refuses what is no secret, without showing it", () => {
    const fault = faultOf(() => run(machine({ systemd: 252 }), { secret: "hunter2" }));
    expect(fault.code).toBe("invalid_argument");
    expect(fault.message).not.toContain("hunter2");
    expect(readdirSync(folder.file("etc"))).toEqual([]);
  });

  test("a second time keeps the secret and only starts", () => {
    const on = machine({ systemd: 252 });
    run(on, { secret: SECRET });
    calls = [];
    run(on);
    run(on, { secret: SECRET });
    expect(text(IN_STORE).trim()).toBe(SECRET);
    expect(calls.filter((call) => call.includes(" restart "))).toEqual([]);
    expect(calls).toContain("systemctl start peat-sidecar.service");
  });

  test("replaces another secret only when told to", () => {
    const on = machine({ systemd: 252 });
    run(on, { secret: SECRET });
    expect(faultOf(() => run(on, { secret: OTHER_SECRET })).code).toBe("conflict");
    expect(text(IN_STORE).trim()).toBe(SECRET);
    run(on, { secret: OTHER_SECRET, mayReplace: true });
    expect(text(IN_STORE).trim()).toBe(OTHER_SECRET);
  });

  test("finds the secret where an older systemd had it, and replaces it there", () => {
    run(machine({ systemd: 249 }), { secret: SECRET });
    run(machine({ systemd: 257 }), { secret: OTHER_SECRET, mayReplace: true });
    expect(text(IN_SETTINGS).trim()).toBe(OTHER_SECRET);
    expect(() => text(IN_STORE)).toThrow();
  });

  test("is for root", () => {
    expect(faultOf(() => run(machine({ systemd: 252, isSuperuser: false }))).code).toBe(
      "forbidden",
    );
  });

  test("starts nothing where it may not, or where no systemd runs", () => {
    run(machine({ systemd: 252 }), { mayStart: false });
    const lines = run(machine({ systemd: 252, isRunning: false }), { mayStart: false });
    expect(calls).toEqual([]);
    expect(lines).toHaveLength(1);
  });

  test("says why the service did not start", () => {
    const fault = faultOf(() => run(machine({ systemd: 252, isGood: false })));
    expect(fault.message).toContain("Job for peat-sidecar.service failed.");
    expect(fault.message).not.toContain("more");
    expect(text(IN_STORE)).not.toBe("");
  });
});

test("what stands before a path is only the machine's folder", () => {
  run(machine({ systemd: 252 }));
  expect(readdirSync(join(folder.path, "etc"))).toEqual(["credstore"]);
});
