// install.sh on machines that run: over HTTP from a good and a bad server, by each kind of package, with systemd and
// with OpenRC.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, cpSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { BareRoot, Machine, type Outcome } from "../support/machine.ts";
import { Namespace } from "../support/namespace.ts";
import {
  BY_SOCKET,
  bring,
  byRpc,
  RPC_WRITE,
  rootOrReason,
  UNIT,
} from "../support/packaged-node.ts";
import { makeSmallPackage } from "../support/small-package.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";
import { makeTestArchive, makeTestRelease, newReleaseKey } from "../support/test-release.ts";

const MINUTES = 60_000;
const roots = {
  deb: await rootOrReason("debian-12"),
  plain: await rootOrReason("debian-13"),
  rpm: await rootOrReason("debian-12-dnf"),
  openrc: await rootOrReason("debian-12-shells"),
};
const isAnyUsable = Object.values(roots).some(({ missing }) => missing === undefined);

let packages: TestPackages;
let folder: TempFolder;
beforeAll(async () => {
  if (!isAnyUsable) return;
  packages = await makeTestPackages();
  folder = tempFolder();
  const key = newReleaseKey();
  const rpm = await packages.make("rpm", "1", "zstd:fastest");
  const archive = await makeTestArchive(packages, "0.1.0");
  const files = [packages.deb(1), rpm, archive];
  await makeTestRelease({ key, folder: folder.file("release"), files });
  const newer = await makeTestArchive(packages, "0.1.1");
  await makeTestRelease({ key, folder: folder.file("newer"), files: [newer] });
}, 10 * MINUTES);
afterAll(() => {
  packages?.[Symbol.dispose]();
  folder?.[Symbol.dispose]();
});

const good = (text: string): Outcome => ({ code: 0, text: expect.stringContaining(text) as never });
const isRunning = (machine: Machine) => machine.property("ActiveState");
const isEnabled = (machine: Machine) => machine.run(`systemctl is-enabled ${UNIT}`).text.trim();
const answers = (machine: Machine) => machine.read(byRpc(BY_SOCKET, "PutDocument", RPC_WRITE));

/** Puts a release on the machine's disk and returns the command that installs from there. */
function carry(machine: Machine, name: "release" | "newer"): string {
  cpSync(folder.file(name), join(machine.root, "media", name), { recursive: true });
  return `sh /media/${name}/install.sh --from /media/${name}`;
}

/** Serves the release inside the machine's network; its base URL. */
async function serve(machine: Machine): Promise<AsyncDisposable & { readonly url: string }> {
  const program = resolve(import.meta.dirname, "../support/release-server.ts");
  const command = [process.execPath, program, folder.file("release")];
  const server = Bun.spawn(machine.command(command, "network"), { stdout: "pipe" });
  const { value } = await server.stdout.getReader().read();
  return {
    url: `http://127.0.0.1:${Buffer.from(value ?? [])
      .toString()
      .trim()}`,
    async [Symbol.asyncDispose]() {
      server.kill();
      await server.exited;
    },
  };
}

/** What the server does, and what is said of it, by curl. */
const BAD_SERVERS = [
  ["missing", "can't fetch"],
  ["loop", "can't fetch"],
  ["half", "can't fetch"],
  ["short", "is not signed by the key of releases"],
  ["other", "is not signed by the key of releases"],
  ["missing-file", "can't fetch"],
  ["half-file", "can't fetch"],
  ["short-file", "is damaged: its checksum"],
  ["other-file", "is damaged: its checksum"],
] as const;

describe.skipIf(roots.deb.missing !== undefined)(
  `as a deb (${roots.deb.missing ?? "booted"})`,
  () => {
    test(
      "from a bad server nothing comes; from a good one a service that answers",
      async () => {
        await using machine = await Machine.boot(roots.deb.base, { hostname: "host-a" });
        await using server = await serve(machine);
        const before = machine.files();
        const by = (how: string, more = "") =>
          `curl -fsSL ${server.url}/redirect/install.sh | sh -s -- --base-url ${server.url}/${how} ${more}`;
        for (const [how, words] of BAD_SERVERS) {
          const { code, text } = machine.run(by(how, "--setup"));
          expect([how, code, text]).toEqual([how, 1, expect.stringContaining(words)]);
        }
        expect(machine.run(by("good").replace(/:\d+\/good/, ":1")).text).toContain("can't fetch");
        expect(machine.files()).toEqual(before);
        expect(machine.run("ls -A /tmp").text).not.toContain("peat");

        expect(machine.run(by("redirect", "--setup"))).toEqual(good("is installed (deb)."));
        expect([isRunning(machine), isEnabled(machine)]).toEqual(["active", "enabled"]);
        answers(machine);
        const pid = machine.property("MainPID");
        expect(machine.run(by("good", "--setup"))).toEqual(good("is installed already (deb)."));
        expect(machine.property("MainPID")).toBe(pid);
        expect(machine.run(by("good").replace(/\|.*/, "| sh -s -- uninstall --purge")).code).toBe(
          0,
        );
        expect(machine.files()).toEqual(before);
      },
      10 * MINUTES,
    );

    test(
      "--no-service leaves the service alone: not enabled, not started, not masked",
      async () => {
        await using machine = await Machine.boot(roots.deb.base, { hostname: "host-a" });
        const install = carry(machine, "release");
        expect(machine.run(`${install} --no-service --setup`)).toEqual(good("is installed (deb)."));
        expect([isRunning(machine), isEnabled(machine)]).toEqual(["inactive", "disabled"]);
        expect(machine.journal()).toEqual([]);
        machine.read(`systemctl start ${UNIT}`);
        answers(machine);
      },
      10 * MINUTES,
    );
  },
);

test.skipIf(roots.plain.missing !== undefined)(
  `as plain files: enabled and started, restarted by an upgrade, gone after a purge (${roots.plain.missing ?? "booted"})`,
  async () => {
    await using machine = await Machine.boot(roots.plain.base, { hostname: "host-a" });
    const [install, upgrade] = [carry(machine, "release"), carry(machine, "newer")];
    const before = machine.files();
    machine.read("head -c 32 /dev/urandom | base64 >/run/secret && chmod 600 /run/secret");
    expect(machine.run(`${install} --format plain`)).toEqual(good("no formation secret yet"));
    expect([isRunning(machine), isEnabled(machine)]).toEqual(["inactive", "enabled"]);
    expect(machine.run(`${install} --format plain --secret-file /run/secret`)).toEqual(
      good("is installed already"),
    );
    expect([isRunning(machine), isEnabled(machine)]).toEqual(["active", "enabled"]);
    expect(machine.read("cat /etc/credstore/peat-formation-secret")).toBe(
      machine.read("cat /run/secret"),
    );
    expect(machine.read("stat -c %a:%U:%G /run/peat-sidecar/peat-sidecar.sock")).toBe(
      "660:peat-sidecar:peat-sidecar",
    );
    answers(machine);
    const pid = machine.property("MainPID");
    expect(machine.run(`${upgrade} --format plain`)).toEqual(good("0.1.1 is installed (plain)."));
    expect(isRunning(machine)).toBe("active");
    expect(machine.property("MainPID")).not.toBe(pid);
    expect(
      machine.read("tr '\\0' ' ' </proc/$(systemctl show -P MainPID peat-sidecar)/cmdline"),
    ).toBe("/usr/bin/peat-sidecar");
    expect(machine.run("sh /media/newer/install.sh uninstall")).toEqual(good("is removed"));
    expect(machine.run(`systemctl status ${UNIT}`).text).toContain("could not be found");
    expect(machine.read("ls /var/lib/peat-sidecar/automerge")).toContain("peat.db");
    machine.read("sh /media/newer/install.sh uninstall --purge");
    expect(machine.files()).toEqual(before);
  },
  10 * MINUTES,
);

test.skipIf(roots.rpm.missing !== undefined)(
  `as an rpm by dnf: enabled against presets, mended, gone after a purge (${roots.rpm.missing ?? "booted"})`,
  async () => {
    await using machine = await Machine.boot(roots.rpm.base, { hostname: "host-a" });
    // What every system with rpm has, of the library that is really there.
    const version = /([\d.]+)$/.exec(machine.read("ldd --version | head -1"))?.[1] ?? "";
    const library = await makeSmallPackage("rpm", folder.path, {
      name: "glibc",
      version,
      provides: ["libgcc", "/bin/sh", "shadow-utils"],
    });
    machine.read(`rpm -U --force-debian ${bring(machine, library)}`);
    const presets = "/etc/systemd/system-preset";
    machine.read(`mkdir -p ${presets} && echo 'disable *' >${presets}/99-default.preset`);
    const install = `${carry(machine, "release")} --format rpm`;
    // rpm leaves folders that are a distribution's.
    const ours = () => machine.files().filter((line) => /^(?!media\/).*peat/.test(line));
    expect(ours()).toEqual([]);
    expect(machine.run(`${install} --setup`)).toEqual(good("is installed (rpm)."));
    expect([isRunning(machine), isEnabled(machine)]).toEqual(["active", "enabled"]);
    answers(machine);
    expect(machine.run(install)).toEqual(good("is installed already (rpm)."));
    machine.read("echo >>/usr/share/man/man8/peat-sidecar.8.gz");
    expect(machine.run(install)).toEqual(good("is installed already (rpm)."));
    machine.read("echo >>/usr/lib/systemd/system/peat-sidecar.service");
    expect(machine.run(install)).toEqual(good("is installed (rpm)."));
    expect(machine.run(install)).toEqual(good("is installed already (rpm)."));
    machine.read("sh /media/release/install.sh uninstall --purge");
    expect(ours()).toEqual([]);
    expect(machine.run("ls /var/lib/peat-sidecar").code).not.toBe(0);
  },
  10 * MINUTES,
);

test.skipIf(roots.openrc.missing !== undefined)(
  `under OpenRC: by wget, refused in one line without a secret, supervised, gone after a purge (${roots.openrc.missing ?? "booted"})`,
  async () => {
    await using machine = await Machine.boot(roots.openrc.base, {
      hostname: "host-a",
      init: "openrc",
    });
    await using server = await serve(machine);
    const upgrade = carry(machine, "newer");
    copyFileSync(folder.file("release/install.sh"), join(machine.root, "media/install.sh"));
    const before = machine.files();
    const by = (how: string) => `sh /media/install.sh --base-url ${server.url}/${how}`;
    // In a place that comes first: files of the test, not of the disk.
    machine.read(
      "mv /usr/bin/curl /run/curl && mkdir /run/bin && ln -s /usr/bin/busybox /run/bin/wget",
    );
    for (const path of ["", "/run/bin:"]) {
      for (const [how] of BAD_SERVERS.filter(([name]) => /-file$/.test(name))) {
        const { code, text } = machine.run(`PATH=${path}$PATH ${by(how)}`);
        expect([path, how, code, text]).toEqual([
          path,
          how,
          1,
          expect.stringContaining("Fetching"),
        ]);
        expect(text).not.toContain("Installing");
      }
    }
    expect(machine.run(by("missing"))).toEqual({
      code: 1,
      text: expect.stringContaining("can't fetch") as never,
    });
    machine.read("mv /run/curl /usr/bin/curl");
    expect(machine.files()).toEqual(before);
    machine.read("mv /usr/bin/curl /run/curl");

    expect(machine.run(by("redirect"))).toEqual(good("no formation secret yet"));
    const refusal = machine.run("rc-service peat-sidecar start");
    expect([refusal.code, refusal.text]).toEqual([
      1,
      expect.stringContaining("peat-sidecar setup"),
    ]);
    machine.read("mv /run/curl /usr/bin/curl");
    expect(machine.run(`${by("good")} --setup`)).toEqual(good("is installed already (plain)."));
    const alive = () =>
      waitFor(
        "an answer",
        MINUTES,
        () => machine.run(byRpc(BY_SOCKET, "PutDocument", RPC_WRITE)).code === 0 || undefined,
        200,
      );
    await alive();
    const pid = () =>
      machine.read("grep -lsx peat-sidecar /proc/[0-9]*/comm").replaceAll(/\D+/g, " ").trim();
    expect(machine.read(`stat -c %U /proc/${pid()}`)).toBe("peat-sidecar");
    expect(machine.read("stat -c %a:%U:%G /run/peat-sidecar")).toBe(
      "750:peat-sidecar:peat-sidecar",
    );
    const first = pid();
    expect(machine.run(upgrade)).toEqual(good("0.1.1 is installed (plain)."));
    await alive();
    expect(pid()).not.toBe(first);
    machine.read("sh /media/install.sh uninstall --purge");
    expect(machine.files()).toEqual(before);
  },
  10 * MINUTES,
);

/** What the public pipeline runs in containers of other distributions. */
function carryCycle(root: string): string {
  copyFileSync(join(projectDir, "scripts/install-cycle"), join(root, "media/install-cycle"));
  return "sh /media/install-cycle /media/release";
}

describe("the cycle of installing, using and removing", () => {
  test.skipIf(roots.deb.missing !== undefined)(
    `leaves no trace where systemd runs (${roots.deb.missing ?? "booted"})`,
    async () => {
      await using machine = await Machine.boot(roots.deb.base, { hostname: "host-a" });
      carry(machine, "release");
      expect(machine.run(carryCycle(machine.root))).toEqual(good("removed without a trace"));
    },
    5 * MINUTES,
  );

  test.skipIf(roots.deb.missing !== undefined)(
    `leaves no trace in a container, where the node is started by hand (${roots.deb.missing ?? "chroot"})`,
    () => {
      using root = new BareRoot(roots.deb.base);
      using namespace = new Namespace("cycle");
      cpSync(folder.file("release"), join(root.root, "media/release"), { recursive: true });
      const inside = ["chroot", root.root, "sh", "-c", carryCycle(root.root)];
      const done = Bun.spawnSync(namespace.command(inside), { stderr: "pipe" });
      expect(`${done.stdout}${done.stderr}`).toContain("removed without a trace");
      expect(done.exitCode).toBe(0);
    },
    5 * MINUTES,
  );
});
