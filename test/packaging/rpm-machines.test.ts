// The rpm installed by a real rpm with its scripts run under a booted systemd: in each of the ways it comes and goes.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { LoadWriter } from "../support/load-writer.ts";
import { BareRoot, has, Machine } from "../support/machine.ts";
import {
  asUser,
  BY_SOCKET,
  bring,
  byRpc,
  get,
  put,
  RPC_DOCUMENT,
  RPC_WRITE,
  rootOrReason,
  UNIT,
} from "../support/packaged-node.ts";
import { giveLibrary } from "../support/rpm-library.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const SETTINGS = "/etc/default/peat-sidecar";
const { base, missing } = await rootOrReason("debian-12-rpm");

let packages: TestPackages;
/** Paths of the releases; the settings file that release 2 brings is another one. */
let rpms: Readonly<Record<1 | 2, string>>;
const standIns = tempFolder();

beforeAll(async () => {
  if (missing !== undefined) return;
  packages = await makeTestPackages();
  const first = await packages.make("rpm", "1", "zstd:fastest");
  appendFileSync(join(packages.stage, SETTINGS), "# Of release 2.\n");
  rpms = { 1: first, 2: await packages.make("rpm", "2", "zstd:fastest") };
}, 10 * MINUTES);
afterAll(() => {
  packages?.[Symbol.dispose]();
  standIns[Symbol.dispose]();
});

// Debian's rpm wants to be told that it is meant.
const rpm = (machine: { readonly root: string }, how: string, release: 1 | 2) =>
  `rpm ${how} --force-debian ${bring(machine, rpms[release])}`;

/** Boots a machine whose presets are those of RHEL: what is installed is not enabled. */
async function boot(): Promise<Machine> {
  const machine = await Machine.boot(base, { hostname: "host-a" });
  try {
    await giveLibrary(machine, standIns.path);
    machine.read(
      "mkdir -p /etc/systemd/system-preset && echo 'disable *' >/etc/systemd/system-preset/99-default.preset",
    );
    return machine;
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
}

const enabled = (machine: Machine) => machine.run(`systemctl is-enabled ${UNIT}`).text.trim();
/** How often systemd has started it. */
const starts = (machine: Machine) =>
  machine.journal("all").filter((line) => line.startsWith("Started ")).length;
/** By the kernel, not by systemd. */
const isRunning = (machine: Machine) =>
  machine.run("grep -qsx peat-sidecar /proc/[0-9]*/comm").code === 0;
/** What of us lies on the disk. */
const ours = (machine: Machine) => machine.files().filter((line) => line.includes("peat"));

test.skipIf(missing !== undefined)(
  `an rpm is installed, upgraded, downgraded, reinstalled and erased, and each leaves what it should (${missing ?? "booted"})`,
  async () => {
    await using machine = await boot();
    const before = machine.files();
    const { code, text } = machine.run(rpm(machine, "-i", 1));
    expect([code, text]).toEqual([0, expect.stringContaining("peat-sidecar setup")]);
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["disabled", "inactive"]);
    expect(machine.read("rpm -V peat-sidecar")).toBe("");
    expect(machine.read(`stat -c %a:%U:%G ${SETTINGS} /etc/peat-sidecar`)).toBe(
      "640:root:peat-sidecar\n750:root:peat-sidecar",
    );
    const first = machine.files();

    machine.read(
      `echo 'PEAT_LISTEN=unix:///run/peat-sidecar/peat-sidecar.sock,tcp://127.0.0.1:50051' >>${SETTINGS}`,
    );
    expect(machine.read("peat-sidecar setup")).toContain(`${UNIT} runs.`);
    machine.read(`systemctl enable -q ${UNIT}`);
    expect(machine.property("ActiveState")).toBe("active");
    machine.read("printf 'u app -\\nm app peat-sidecar\\nu stranger -\\n' | systemd-sysusers -");
    machine.read(byRpc(BY_SOCKET, "PutDocument", RPC_WRITE));
    const ask = (user: string, how: string) =>
      machine.run(asUser(user, byRpc(how, "GetDocument", RPC_DOCUMENT)));
    const answered = () => {
      for (const [user, how] of [
        ["app", BY_SOCKET],
        ["stranger", "http://127.0.0.1:50051"],
      ] as const) {
        const { code, text } = ask(user, how);
        expect([code, text]).toEqual([0, expect.stringContaining('\\"by\\":\\"rpc\\"')]);
      }
    };
    answered();
    expect(ask("stranger", BY_SOCKET).code).not.toBe(0);

    // Settings have given no token, so that a restart keeps the writer's.
    await using writer = await LoadWriter.start(machine);
    // In all of these the old package's last scripts run after the new one's first.
    const steps = [
      ["an upgrade", rpm(machine, "-U", 2), "2"],
      ["a downgrade", rpm(machine, "-U --oldpackage", 1), "1"],
      ["a reinstallation", rpm(machine, "-U --replacepkgs", 1), "1"],
      ["another reinstallation", rpm(machine, "--reinstall", 1), "1"],
      ["a second upgrade", rpm(machine, "-U", 2), "2"],
    ] as const;
    for (const [step, command, release] of steps) {
      const [pid, count, acked] = [machine.property("MainPID"), starts(machine), writer.acked];
      await machine.work(command);
      const now = [enabled(machine), machine.property("ActiveState"), starts(machine) - count];
      expect([step, ...now]).toEqual([step, "enabled", "active", 1]);
      expect(machine.property("MainPID")).not.toBe(pid);
      expect(machine.read("rpm -q --qf '%{release}' peat-sidecar")).toBe(release);
      expect(has(machine.root, "run/peat-sidecar.upgrading")).toBe(false);
      answered();
      const pause = await writer.goesOn(acked);
      console.log(`longest pause between acknowledgements in ${step}: ${pause}`);
    }
    const checked = await writer.readBack();
    expect(checked).toEqual({ kind: "checked", count: expect.any(Number), missing: [] });
    console.log(`${checked.count} acknowledged writes read back`);
    expect(machine.read(`tail -1 ${SETTINGS}`)).toStartWith("PEAT_LISTEN=");
    expect(machine.read(`tail -1 ${SETTINGS}.rpmnew`)).toBe("# Of release 2.");
    expect(machine.read("rpm -V peat-sidecar || true")).toBe(`S.5....T.  c ${SETTINGS}`);

    machine.read("rpm -e --force-debian peat-sidecar");
    expect(machine.property("LoadState")).toBe("not-found");
    expect(isRunning(machine)).toBe(false);
    expect(machine.run("ls -d /run/peat-sidecar /run/peat-sidecar.sock").code).toBe(2);
    const left = ours(machine).map((line) => line.split(" ")[0]);
    expect(left.filter((path) => !path?.startsWith("var/lib/peat-sidecar"))).toEqual([
      "etc/credstore/peat-formation-secret",
      "etc/default/peat-sidecar.rpmnew",
      "etc/default/peat-sidecar.rpmsave",
    ]);
    console.log(
      `files before ${before.length}, installed ${first.length}, erased ${machine.files().length}, of these ${left.length} data, secret and settings`,
    );

    machine.read(rpm(machine, "-i", 2));
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["disabled", "inactive"]);
    machine.read("peat-sidecar setup");
    expect(ask("app", BY_SOCKET).text).toContain('\\"by\\":\\"rpc\\"');
  },
  10 * MINUTES,
);

test.skipIf(missing !== undefined)(
  `an rpm obeys who stopped, masked or disabled the service, and presets that enable it (${missing ?? "booted"})`,
  async () => {
    await using machine = await boot();
    machine.read(`echo 'enable ${UNIT}' >/etc/systemd/system-preset/10-site.preset`);
    machine.read(rpm(machine, "-i", 1));
    // The distribution's presets say what starts at boot; nothing starts by being installed.
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["enabled", "inactive"]);
    machine.read("peat-sidecar setup");
    machine.read(put("a", '{"n":1}'));
    machine.read(`systemctl stop ${UNIT} && systemctl disable -q ${UNIT}`);
    machine.read(rpm(machine, "-U", 2));
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["disabled", "inactive"]);
    machine.read(`systemctl mask -q ${UNIT}`);
    machine.read(rpm(machine, "-U --oldpackage", 1));
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["masked", "inactive"]);
    machine.read(`systemctl unmask -q ${UNIT} && systemctl start ${UNIT}`);
    expect(machine.read(get("a"))).toContain('"n":1');
    // Masked while it runs: no upgrade can restart it, and an erasure must stop it all the same.
    machine.read(`systemctl mask -q ${UNIT}`);
    machine.read(rpm(machine, "-U", 2));
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["masked", "active"]);
    machine.read("rpm -e --force-debian peat-sidecar");
    expect([enabled(machine), machine.property("ActiveState")]).toEqual(["masked", "inactive"]);
    expect(isRunning(machine)).toBe(false);
  },
  10 * MINUTES,
);

test.skipIf(missing !== undefined)(
  `an rpm is refused where the C library is missing or too old, and works without systemd (${missing ?? "chroot"})`,
  async () => {
    using root = new BareRoot(base);
    const must = (script: string) => {
      const { code, text } = root.run(script);
      expect([code, text]).toEqual([0, expect.any(String)]);
      return text;
    };
    const refusal = (command: string) => {
      const { code, text } = root.run(command);
      expect(code).not.toBe(0);
      return text;
    };
    expect(refusal(rpm(root, "-i", 1))).toContain("glibc >= 2.34 is needed");
    // RHEL 8.
    await giveLibrary(root, standIns.path, "2.28");
    const old = refusal(rpm(root, "-i", 1));
    expect(old).toContain("glibc >= 2.34 is needed");
    expect(old).not.toContain("shadow-utils");
    expect(has(root.root, "usr/bin/peat-sidecar")).toBe(false);

    await giveLibrary(root, standIns.path);
    const before = root.files();
    must(rpm(root, "-i", 1));
    expect(must("getent passwd peat-sidecar")).toContain("nologin");
    expect(must("peat-sidecar --version")).toContain("0.");
    must(rpm(root, "-U", 2));
    must("rpm -e --force-debian peat-sidecar");
    const shared =
      /^usr\/share\/(?:fish(?:\/vendor_completions\.d)?|licenses|zsh\/site-functions) d /;
    // These are of the package filesystem, where systems have it.
    expect(root.files().filter((line) => !shared.test(line))).toEqual(before);
  },
  5 * MINUTES,
);
