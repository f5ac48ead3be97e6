// The deb on real Debian systems with a booted systemd: its whole life, under load, and what is left of it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { LoadWriter } from "../support/load-writer.ts";
import { BareRoot, has, Machine } from "../support/machine.ts";
import { connect, Namespace } from "../support/namespace.ts";
import {
  asUser,
  BY_SOCKET,
  bootWithDeb,
  byRpc,
  get,
  installation,
  put,
  RPC_DOCUMENT,
  RPC_WRITE,
  rootOrReason,
  UNIT,
} from "../support/packaged-node.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;

const roots = {
  "debian-12": await rootOrReason("debian-12"),
  "debian-13": await rootOrReason("debian-13"),
  "debian-12-bare": await rootOrReason("debian-12-bare"),
  "debian-11-bare": await rootOrReason("debian-11-bare"),
};
const isAnyUsable = Object.values(roots).some(({ missing }) => missing === undefined);

let packages: TestPackages;
beforeAll(async () => {
  if (isAnyUsable) packages = await makeTestPackages();
}, 10 * MINUTES);
afterAll(() => packages?.[Symbol.dispose]());

const install = (machine: { readonly root: string }, release: 1 | 2) =>
  installation(machine, packages.deb(release));

/** A machine that has the package and a secret, and whose service is ready. */
const ready = (base: string, hostname = "host-a", namespace?: Namespace) =>
  bootWithDeb(base, packages.deb(1), { hostname, ...(namespace && { namespace }) });

for (const release of ["debian-12", "debian-13"] as const) {
  const { base, missing } = roots[release];
  describe.skipIf(missing !== undefined)(`on ${release} (${missing ?? "booted"})`, () => {
    test(
      "without a secret it installs, says in one line what to run, and does not try again",
      async () => {
        await using machine = await Machine.boot(base, { hostname: "host-a" });
        const { code, text } = machine.run(install(machine, 1));
        expect([code, text]).toEqual([0, expect.stringContaining("peat-sidecar setup")]);
        expect(machine.property("ExecMainStatus")).toBe("78");
        // A service that systemd means to start again would be in auto-restart.
        expect(machine.property("SubState")).toBe("failed");
        const lines = machine.journal();
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain("run: peat-sidecar setup");
      },
      10 * MINUTES,
    );

    test(
      "setup starts it: ready, hardened, its socket for the group, RPC over the socket and TCP",
      async () => {
        await using machine = await Machine.boot(base, { hostname: "host-a" });
        // The addon must not need a place from which programs may be run.
        machine.read(
          "for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec,nosuid,nodev x $d; done",
        );
        machine.read(install(machine, 1));
        machine.read(
          `echo 'PEAT_LISTEN=unix:///run/peat-sidecar/peat-sidecar.sock,tcp://127.0.0.1:50051' >>/etc/default/peat-sidecar`,
        );
        const { code, text } = machine.run("peat-sidecar setup");
        expect([code, text]).toEqual([0, expect.stringContaining("peat-sidecar.service runs.")]);

        expect(machine.property("ActiveState")).toBe("active");
        expect(machine.property("StatusText")).toBe("0 of 0 peers connected, 0 documents");
        expect(machine.read("stat -c %a:%U:%G /etc/credstore/peat-formation-secret")).toBe(
          "600:root:root",
        );
        expect(
          machine.read("stat -c %a:%U:%G /etc/default/peat-sidecar /etc/peat-sidecar/config.yaml"),
        ).toBe("640:root:peat-sidecar\n640:root:peat-sidecar");
        expect(machine.read("stat -c %a:%U:%G /run/peat-sidecar/peat-sidecar.sock")).toBe(
          "660:peat-sidecar:peat-sidecar",
        );
        expect(machine.read("stat -c %a:%U:%G /run/peat-sidecar /var/lib/peat-sidecar")).toBe(
          "750:peat-sidecar:peat-sidecar\n700:peat-sidecar:peat-sidecar",
        );

        // By the documented path, as somebody of the group; nobody else may.
        machine.read(
          "printf 'u app -\\nm app peat-sidecar\\nu stranger -\\n' | systemd-sysusers -",
        );
        machine.read(byRpc(BY_SOCKET, "PutDocument", RPC_WRITE));
        const ask = (user: string, how: string) =>
          machine.run(asUser(user, byRpc(how, "GetDocument", RPC_DOCUMENT)));
        const bySocket = ask("app", BY_SOCKET);
        expect([bySocket.code, bySocket.text]).toEqual([
          0,
          expect.stringContaining('\\"by\\":\\"rpc\\"'),
        ]);
        expect(ask("stranger", BY_SOCKET).code).not.toBe(0);
        const byTcp = ask("stranger", "http://127.0.0.1:50051");
        expect([byTcp.code, byTcp.text]).toEqual([
          0,
          expect.stringContaining('\\"by\\":\\"rpc\\"'),
        ]);

        // Commands by the control socket: neither token nor settings are needed, only to be of the group.
        expect(machine.read("stat -c %a:%U:%G /run/peat-sidecar/control.sock")).toBe(
          "660:peat-sidecar:peat-sidecar",
        );
        const command = (user: string, words: string) =>
          machine.run(asUser(user, `peat-sidecar ${words}`));
        const told = command("app", "put notes/c1 '{}'");
        expect([told.code, told.text]).toEqual([0, expect.anything()]);
        expect(command("app", "sync").text).toContain("sync is running");
        expect(command("stranger", "put notes/c2 '{}'").code).not.toBe(0);

        const pid = machine.property("MainPID");
        expect(machine.read(`cat /proc/${pid}/maps`)).toContain("/usr/lib/peat-sidecar/iroh.node");
        const secret = machine.read("cat /etc/credstore/peat-formation-secret");
        expect(
          machine.run(`grep -aF '${secret}' /proc/${pid}/environ /proc/${pid}/cmdline`).code,
        ).toBe(1);
        const exposure = machine.read(
          "systemd-analyze security --no-pager peat-sidecar.service | tail -1",
        );
        console.log(`${release}: ${exposure}`);
        expect(Number(/: ([\d.]+) /.exec(exposure)?.[1])).toBeLessThanOrEqual(1.5);
        expect(machine.read(`systemd-analyze verify --man=no ${UNIT} 2>&1`)).toBe("");
      },
      10 * MINUTES,
    );

    test(
      "an upgrade under load loses no acknowledged write; a downgrade, a removal and a new start neither",
      async () => {
        await using machine = await ready(base);
        await using writer = await LoadWriter.start(machine);
        machine.read(`echo '# mine' >>/etc/default/peat-sidecar`);
        const [pid, before] = [machine.property("MainPID"), writer.acked];
        await machine.work(install(machine, 2));
        expect(machine.property("MainPID")).not.toBe(pid);
        const downtime = await writer.goesOn(before);
        console.log(
          `${release}: longest pause between acknowledgements in an upgrade: ${downtime}`,
        );
        expect(machine.read("cat /etc/default/peat-sidecar")).toEndWith("# mine");

        await machine.work(install(machine, 1));
        expect(machine.property("ActiveState")).toBe("active");
        await machine.work("apt-get remove -y -q peat-sidecar");
        expect(machine.property("ActiveState")).toBe("inactive");
        expect(has(machine.root, "usr/bin/peat-sidecar")).toBe(false);
        expect(has(machine.root, "etc/default/peat-sidecar")).toBe(true);
        expect(machine.run("ls /run/peat-sidecar.sock").code).not.toBe(0);
        await machine.work(install(machine, 2));
        expect(machine.property("ActiveState")).toBe("active");
        const checked = await writer.readBack();
        expect(checked).toEqual({ kind: "checked", count: expect.any(Number), missing: [] });
        console.log(`${release}: ${checked.count} acknowledged writes read back`);
      },
      15 * MINUTES,
    );

    test(
      "each step of its life leaves the files that it should, a purge those that were there before",
      async () => {
        await using machine = await Machine.boot(base, { hostname: "host-a" });
        const before = machine.files();
        machine.read(install(machine, 1));
        machine.read("peat-sidecar setup");
        machine.read(put("a", '{"n":1}'));
        // Files of the database come and go while it is open.
        const lasting = () => machine.files().filter((line) => !/peat\.db-(?:wal|shm) /.test(line));
        const installed = lasting();
        const data = /^var\/lib\/peat-sidecar\/automerge\/peat\.db f 600 \d+ \d+$/;
        expect(installed).toContainEqual(expect.stringMatching(data));
        for (const [step, command] of [
          ["an upgrade", install(machine, 2)],
          ["a downgrade", install(machine, 1)],
          ["a reinstallation", `${install(machine, 1)} --reinstall`],
        ] as const) {
          const pid = machine.property("MainPID");
          machine.read(command);
          expect([step, machine.property("ActiveState"), lasting()]).toEqual([
            step,
            "active",
            installed,
          ]);
          expect(machine.property("MainPID")).not.toBe(pid);
          expect(machine.read(get("a"))).toContain('"n":1');
        }
        machine.read("apt-get remove -y -q peat-sidecar");
        const removed = lasting();
        const left = removed.filter((line) => !before.includes(line));
        // With the links of an enabled service that is masked until it is installed again.
        const kept =
          /^(?:var\/(?:lib|cache)\/(?:private\/)?peat-sidecar|etc\/(?:credstore|peat-sidecar|default\/peat-sidecar|systemd\/system\/(?:multi-user\.target\.wants\/)?peat-sidecar\.service))/;
        expect(left.filter((line) => !kept.test(line))).toEqual([]);
        expect(left).toContainEqual(expect.stringMatching(data));
        machine.read(install(machine, 2));
        expect(machine.property("ActiveState")).toBe("active");
        machine.read("apt-get purge -y -q peat-sidecar");
        expect(machine.files()).toEqual(before);
        console.log(
          `${release}: files before ${before.length}, installed ${installed.length}, removed ${removed.length}, purged ${before.length}`,
        );
        expect(machine.run("ls -d /run/peat-sidecar /run/peat-sidecar.sock").text).not.toContain(
          "/run/peat-sidecar\n",
        );
        // The user stays, so that its number is not given to another one.
        expect(machine.read("getent passwd peat-sidecar")).toContain("/usr/sbin/nologin");
      },
      10 * MINUTES,
    );

    test(
      "a wedged process is restarted by the watchdog, a killed one at once, and both after a reboot",
      async () => {
        await using machine = await ready(base);
        machine.read(put("a", '{"n":1}'));
        // The same watchdog with less patience, so that the test is not a minute of waiting.
        machine.read(
          `mkdir -p /etc/systemd/system/${UNIT}.d && printf '[Service]\\nWatchdogSec=6\\nTimeoutAbortSec=2\\nRestartSec=1\\n' >/etc/systemd/system/${UNIT}.d/quick.conf && systemctl daemon-reload && systemctl restart ${UNIT}`,
        );
        const restarted = async (restarts: number) => {
          await waitFor(
            `restart ${restarts}`,
            3 * MINUTES,
            () =>
              Number(machine.property("NRestarts")) >= restarts &&
              machine.property("ActiveState") === "active"
                ? true
                : undefined,
            100,
          );
        };
        machine.read("kill -STOP $(systemctl show -P MainPID peat-sidecar)");
        await restarted(1);
        expect(machine.journal("all").join("\n")).toContain("Watchdog timeout");
        machine.read("kill -KILL $(systemctl show -P MainPID peat-sidecar)");
        await restarted(2);
        expect(machine.read(get("a"))).toContain('"n":1');
        await machine.reboot();
        expect(machine.property("ActiveState")).toBe("active");
        expect(machine.read(get("a"))).toContain('"n":1');
      },
      10 * MINUTES,
    );

    test(
      "without the just-in-time compiler it is ready too, by the program systemd-notify",
      async () => {
        await using machine = await ready(base);
        machine.read(
          `mkdir -p /etc/systemd/system/${UNIT}.d && printf '[Service]\\nNotifyAccess=all\\nWatchdogSec=10\\n' >/etc/systemd/system/${UNIT}.d/slow.conf && echo BUN_JSC_useJIT=0 >>/etc/default/peat-sidecar && systemctl daemon-reload`,
        );
        await machine.work(`systemctl restart ${UNIT}`);
        expect(machine.property("ActiveState")).toBe("active");
        expect(machine.property("StatusText")).toBe("0 of 0 peers connected, 0 documents");
        // Alive for longer than the watchdog waits: it hears the signs.
        const pid = machine.property("MainPID");
        await waitFor(
          "a sign of life after the watchdog's time",
          MINUTES,
          () => {
            const [now = "0"] = machine.read("cat /proc/uptime").split(" ");
            const started = Number(machine.property("ActiveEnterTimestampMonotonic")) / 1e6;
            return Number(now) - started > 15 ? true : undefined;
          },
          500,
        );
        expect([machine.property("MainPID"), machine.property("NRestarts")]).toEqual([pid, "0"]);
        await machine.work(`systemctl reload ${UNIT}`);
        await waitFor(
          "the end of the reload",
          MINUTES,
          () => machine.property("ActiveState") === "active" || undefined,
          200,
        );
      },
      10 * MINUTES,
    );

    test(
      "who stopped, masked or disabled it is obeyed",
      async () => {
        await using machine = await ready(base);
        machine.read(`systemctl stop ${UNIT}`);
        machine.read(install(machine, 2));
        expect(machine.property("ActiveState")).toBe("inactive");
        machine.read(`systemctl disable ${UNIT}`);
        machine.read(install(machine, 1));
        expect(machine.run(`systemctl is-enabled ${UNIT}`).text.trim()).toBe("disabled");
        machine.read(`systemctl mask ${UNIT}`);
        machine.read(install(machine, 2));
        expect(machine.run(`systemctl is-enabled ${UNIT}`).text.trim()).toBe("masked");
        machine.read(`apt-get purge -y -q peat-sidecar && systemctl unmask ${UNIT}`);
        machine.read(
          `mkdir -p /etc/systemd/system-preset && echo 'disable ${UNIT}' >/etc/systemd/system-preset/10-site.preset`,
        );
        machine.read(install(machine, 1));
        expect(machine.run(`systemctl is-enabled ${UNIT}`).text.trim()).toBe("disabled");
        expect(machine.property("ActiveState")).toBe("inactive");
      },
      10 * MINUTES,
    );
  });
}

const pair = roots["debian-12"].missing ?? roots["debian-13"].missing;
test.skipIf(pair !== undefined)(
  `two machines with the package find each other and hold the same documents (${pair ?? "booted"})`,
  async () => {
    using a = new Namespace("a");
    using b = new Namespace("b");
    connect(
      { namespace: a, device: "host0", address: "10.79.1.1/24" },
      { namespace: b, device: "host0", address: "10.79.1.2/24" },
    );
    await using one = await ready(roots["debian-12"].base, "host-a", a);
    await using two = await ready(roots["debian-13"].base, "host-b", b);
    one.read(put("from-a", '{"by":"a"}'));
    two.read(put("from-b", '{"by":"b"}'));
    await waitFor(
      "the document of host-a",
      2 * MINUTES,
      () => two.run(get("from-a")).code === 0 || undefined,
      200,
    );
    await waitFor(
      "the document of host-b",
      2 * MINUTES,
      () => one.run(get("from-b")).code === 0 || undefined,
      200,
    );
    expect(two.read(get("from-a"))).toContain('"by":"a"');
    await waitFor(
      "the status",
      MINUTES,
      () => one.property("StatusText").startsWith("1 of 1 peers") || undefined,
      200,
    );
  },
  15 * MINUTES,
);

const bare = roots["debian-12-bare"];
test.skipIf(bare.missing !== undefined)(
  `without systemd (an image's build) it installs, runs by hand and is purged (${bare.missing ?? "chroot"})`,
  () => {
    using root = new BareRoot(bare.base);
    const before = root.files();
    const { code, text } = root.run(install(root, 1));
    expect([code, text]).toEqual([0, expect.any(String)]);
    expect(root.run("getent passwd peat-sidecar").text).toContain("/usr/sbin/nologin");
    expect(root.run("peat-sidecar --version").code).toBe(0);
    expect(
      root.run(
        "peat-sidecar setup --no-start && stat -c %a:%U:%G /etc/peat-sidecar/peat-formation-secret",
      ).text,
    ).toContain("640:root:peat-sidecar");
    expect(root.run("peat-sidecar derive-id --name x").text).toMatch(/^[0-9a-f]{64}\n$/);
    expect(root.run("apt-get purge -y -q peat-sidecar").code).toBe(0);
    expect(root.files()).toEqual(before);
  },
  5 * MINUTES,
);

const old = roots["debian-11-bare"];
test.skipIf(old.missing !== undefined)(
  `on Debian 11, whose C library is too old, it is refused by its dependency (${old.missing ?? "chroot"})`,
  () => {
    using root = new BareRoot(old.base);
    // An ar member that this dpkg can't unpack would be refused for another reason.
    const { code, text } = root.run(install(root, 1));
    expect(code).not.toBe(0);
    expect(text).toContain("libc6 (>= 2.34)");
    expect(has(root.root, "usr/bin/peat-sidecar")).toBe(false);
  },
  5 * MINUTES,
);
