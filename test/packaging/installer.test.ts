// install.sh in systems where nothing runs: every shell, every program that judges signatures, what is damaged, and
// every half of the script.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findDebianRoot } from "../../scripts/support/debian-roots.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { cuts } from "../support/cut-script.ts";
import { BareRoot, has, type Outcome } from "../support/machine.ts";
import { rootOrReason } from "../support/packaged-node.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";
import { makeTestArchive, makeTestRelease, newReleaseKey } from "../support/test-release.ts";

const MINUTES = 60_000;
const SHELLS = ["dash", "busybox ash", "bash", "mksh"] as const;
/** Where a root has the release. */
const RELEASE = "/media/release";
const NEWER = "/media/newer";
const INSTALL = `${RELEASE}/install.sh --from ${RELEASE}`;

const shells = await rootOrReason("debian-12-shells");
const bare = await rootOrReason("debian-12-bare");
const old = await rootOrReason("debian-11-bare");
const newest = await findDebianRoot("debian-13");

let packages: TestPackages;
let folder: TempFolder;
beforeAll(async () => {
  if (shells.missing !== undefined) return;
  packages = await makeTestPackages();
  folder = tempFolder();
  const key = newReleaseKey();
  const archive = await makeTestArchive(packages, "0.1.0");
  await makeTestRelease({ key, folder: folder.file("release"), files: [packages.deb(1), archive] });
  const newer = await makeTestArchive(packages, "0.1.1");
  await makeTestRelease({ key, folder: folder.file("newer"), files: [newer] });
}, 10 * MINUTES);
afterAll(() => {
  packages?.[Symbol.dispose]();
  folder?.[Symbol.dispose]();
});

/** A root of a test's own with the release in it. */
function rootWithRelease(base: string, ...more: readonly "newer"[]): BareRoot {
  const root = new BareRoot(base);
  for (const name of ["release", ...more]) {
    cpSync(folder.file(name), join(root.root, "media", name), { recursive: true });
  }
  return root;
}

const good = (text: string): Outcome => ({ code: 0, text: expect.stringContaining(text) as never });
const refused = (text: string, code = 1): Outcome => ({
  code,
  text: expect.stringContaining(text) as never,
});

describe.skipIf(Bun.which("shellcheck") === null)("shellcheck", () => {
  test("finds nothing in install.sh and the service of OpenRC", () => {
    const paths = ["install.sh", "packaging/openrc/peat-sidecar"];
    const done = Bun.spawnSync(["shellcheck", "--shell=sh", ...paths], { cwd: projectDir });
    expect(`${done.stdout}${done.stderr}`).toBe("");
    expect(done.exitCode).toBe(0);
  });
});

for (const shell of SHELLS) {
  test.skipIf(shells.missing !== undefined)(
    `${shell} runs it, twice as once, and half of it does nothing (${shells.missing ?? "chroot"})`,
    () => {
      using root = rootWithRelease(shells.base);
      const before = root.files();
      const script = readFileSync(folder.file("release/install.sh"), "latin1");
      const lengths = cuts(script);
      writeFileSync(join(root.root, "media/lengths"), lengths.map((at) => `${at}\n`).join(""));
      const part = (length: string) =>
        `head -c ${length} ${RELEASE}/install.sh | ${shell} -s -- --from ${RELEASE}`;
      // Every try is told, so that none is left out; one that does something would say so.
      const tried = root.run(
        `while read -r at; do ${part("$at")}; echo tried; done </media/lengths 2>/dev/null; rm /media/lengths`,
      );
      expect(tried.text.split("tried\n").filter((said) => said !== "")).toEqual([]);
      expect(tried.text).toHaveLength("tried\n".length * lengths.length);
      expect(root.files()).toEqual(before);
      console.log(`${shell}: cut at ${lengths.length} of ${script.length} bytes`);

      expect(root.run(`${part(String(script.length))} --dry-run`)).toEqual(
        good("would run: install -m 755"),
      );
      expect(root.files()).toEqual(before);
      expect(root.run(part(String(script.length)))).toEqual(good("0.1.0 is installed (plain)."));
      expect(root.run(`${shell} ${INSTALL}`)).toEqual(good("0.1.0 is installed already"));
      expect(root.run(`${shell} ${RELEASE}/install.sh uninstall --purge`).code).toBe(0);
      expect(root.files()).toEqual(before);
    },
    5 * MINUTES,
  );
}

test.skipIf(shells.missing !== undefined)(
  `plain files: their rights, what a second run mends, upgrade, downgrade, removal (${shells.missing ?? "chroot"})`,
  () => {
    using root = rootWithRelease(shells.base, "newer");
    const before = root.files();
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("peat-sidecar 0.1.0 is installed (plain)."));
    expect(root.run("peat-mesh-node --version").code).toBe(0);
    const paths =
      "/usr/bin/peat-sidecar /usr/lib/peat-sidecar/iroh.node /etc/default/peat-sidecar /etc/peat-sidecar /var/lib/peat-sidecar";
    expect(root.run(`stat -c %a:%U:%G ${paths}`).text.trim().split("\n")).toEqual([
      "755:root:root",
      "644:root:root",
      "640:root:peat-sidecar",
      "750:root:peat-sidecar",
      "700:peat-sidecar:peat-sidecar",
    ]);
    const installed = root.files();
    const touched = () => root.run("stat -c %i:%Z /usr/bin/* /usr/lib/peat-sidecar/* /etc/*").text;
    const untouched = touched();
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed already"));
    expect([root.files(), touched()]).toEqual([installed, untouched]);

    // A damaged file is mended; changed settings are the administrator's.
    root.run("echo >>/usr/lib/peat-sidecar/iroh.node");
    root.run("echo PEAT_NODE_ID=x >>/etc/default/peat-sidecar");
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("/etc/default/peat-sidecar is kept as it is."));
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed already"));
    expect(root.run("tail -n 1 /etc/default/peat-sidecar").text).toBe("PEAT_NODE_ID=x\n");
    const upgrade = `sh ${NEWER}/install.sh --from ${NEWER}`;
    expect(root.run(upgrade)).toEqual(good("0.1.1 is installed"));
    expect(root.run(`sh ${INSTALL}`)).toEqual(refused("0.1.0 is older than 0.1.1"));
    expect(root.run(`sh ${INSTALL} --allow-downgrade`)).toEqual(good("0.1.0 is installed"));
    expect(root.files()).toEqual(installed);

    expect(root.run(`sh ${RELEASE}/install.sh uninstall`)).toEqual(good("is removed"));
    expect(has(root.root, "usr/bin/peat-sidecar")).toBe(false);
    expect(has(root.root, "etc/default/peat-sidecar")).toBe(true);
    expect(root.run(`sh ${RELEASE}/install.sh uninstall --purge`).code).toBe(0);
    expect(root.files()).toEqual(before);
    expect(root.run(`sh ${RELEASE}/install.sh uninstall --purge`)).toEqual(good("not installed"));
  },
  5 * MINUTES,
);

test.skipIf(shells.missing !== undefined)(
  `killed between two files, it is whole after the next run (${shells.missing ?? "chroot"})`,
  () => {
    using root = rootWithRelease(shells.base);
    const before = root.files();
    // The last thing that is done to a file is to give it its name.
    const mv =
      '#!/bin/sh\necho >>/run/moves\n[ $(wc -l </run/moves) -ne 6 ] || kill -9 $PPID\nexec /usr/bin/mv "$@"\n';
    mkdirSync(join(root.root, "run/bin"));
    writeFileSync(join(root.root, "run/bin/mv"), mv, { mode: 0o755 });
    expect(root.run(`PATH=/run/bin:$PATH sh ${INSTALL}`).code).toBe(137);
    expect(root.run(`rm -r /tmp/*; sh ${INSTALL}`)).toEqual(good("0.1.0 is installed (plain)."));
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed already"));
    expect(root.files().filter((line) => line.includes(".peat-new"))).toEqual([]);
    expect(root.run(`sh ${RELEASE}/install.sh uninstall --purge`).code).toBe(0);
    expect(root.files()).toEqual(before);
  },
  5 * MINUTES,
);

test.skipIf(shells.missing !== undefined)(
  `somebody with sudo installs, and changed settings that only root sees are kept (${shells.missing ?? "chroot"})`,
  () => {
    using root = rootWithRelease(shells.base);
    root.run("echo 127.0.0.1 $(cat /proc/sys/kernel/hostname) >>/etc/hosts");
    root.run("useradd admin && echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin");
    root.run("head -c 32 /dev/urandom | base64 >/media/secret; chmod 600 /media/secret");
    const before = root.files();
    const as = "setpriv --reuid=admin --regid=admin --clear-groups sh";
    const withSecret = `${as} ${INSTALL} --secret-file /media/secret --no-service`;
    expect(root.run(withSecret)).toEqual(good("0.1.0 is installed (plain)."));
    root.run("echo 'nodeId: mine' >/etc/peat-sidecar/config.yaml; rm /usr/bin/peat-mesh-node");
    expect(root.run(`${as} ${INSTALL}`)).toEqual(
      good("/etc/peat-sidecar/config.yaml is kept as it is."),
    );
    expect(root.run("cat /etc/peat-sidecar/config.yaml").text).toBe("nodeId: mine\n");
    expect(root.run("cmp /media/secret /etc/peat-sidecar/peat-formation-secret").code).toBe(0);
    expect(root.run(`${as} ${RELEASE}/install.sh uninstall --purge`).code).toBe(0);
    expect(root.files()).toEqual(before);
  },
  5 * MINUTES,
);

/** What is done to the release, the words of the refusal, and more options. */
const DAMAGES: readonly (readonly [name: string, damage: string, words: string, more?: string])[] =
  [
    [
      "a package of other bytes",
      "printf x | dd of=$P bs=1 seek=1000 conv=notrunc",
      "is damaged: its checksum",
    ],
    ["half a package", "truncate -s 1000000 $P", "is damaged: its checksum"],
    ["no package", "rm $P", "has no file peat-sidecar-0.1.0-linux-x64-system.tar.gz"],
    [
      "a list with other checksums",
      "sed -i s/^./0/ SHA256SUMS",
      "is not signed by the key of releases",
    ],
    ["half a list", "truncate -s 100 SHA256SUMS", "is not signed by the key of releases"],
    ["no signature", "rm SHA256SUMS.*", "has no file SHA256SUMS.s"],
    [
      "an empty signature",
      ": >SHA256SUMS.sig; : >SHA256SUMS.sshsig; : >SHA256SUMS.asc",
      "is not signed",
    ],
    ["the signature of another list", "cp ../newer/SHA256SUMS.s* .", "is not signed"],
    [
      "another key",
      "sed -i \"s/^RELEASE_KEY=.*/RELEASE_KEY=''; : '/\" install.sh",
      "this copy of install.sh has no key",
    ],
  ];

describe.skipIf(shells.missing !== undefined)(`refuses (${shells.missing ?? "chroot"})`, () => {
  test.each(DAMAGES)(
    "%s, and leaves the system as it was",
    (_name, damage, words) => {
      using root = rootWithRelease(shells.base, "newer");
      const package_ = "peat-sidecar-0.1.0-linux-x64-system.tar.gz";
      root.run(`cd ${RELEASE} && P=${package_} && { ${damage}; }`);
      const before = root.files();
      expect(root.run(`sh ${INSTALL} --setup`)).toEqual(refused(words));
      expect(root.files()).toEqual(before);
      expect(root.run("ls -A /tmp").text).toBe("");
    },
    MINUTES,
  );

  test(
    "a release of another key, and takes it when that key is given",
    async () => {
      using root = rootWithRelease(shells.base);
      const files = [join(folder.path, "newer/peat-sidecar-0.1.1-linux-x64-system.tar.gz")];
      await makeTestRelease({ key: newReleaseKey(), folder: join(root.root, "media/own"), files });
      const before = root.files();
      const command = `sh ${RELEASE}/install.sh --from /media/own`;
      expect(root.run(command)).toEqual(refused("is not signed by the key of releases"));
      expect(root.files()).toEqual(before);
      expect(root.run(`${command} --key /media/own/peat-sidecar.pub`)).toEqual(
        good("is installed"),
      );
    },
    MINUTES,
  );

  test(
    "to overwrite what somebody else has put there",
    () => {
      using root = rootWithRelease(shells.base);
      root.run("echo mine >/usr/bin/peat-sidecar");
      const before = root.files();
      expect(root.run(`sh ${INSTALL}`)).toEqual(
        refused("/usr/bin/peat-sidecar is there and not from this script"),
      );
      expect(root.files()).toEqual(before);
    },
    MINUTES,
  );

  test(
    "to leave half of it on a disk that gets full",
    () => {
      using root = rootWithRelease(shells.base);
      const addons = join(root.root, "usr/lib/peat-sidecar");
      mkdirSync(addons);
      const mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "small", addons];
      expect(Bun.spawnSync(mount).exitCode).toBe(0);
      const before = root.files();
      const done = root.run(`sh ${INSTALL}`);
      const after = root.files();
      Bun.spawnSync(["umount", addons]);
      expect(done).toEqual(refused("No space left"));
      expect(after).toEqual(before);
    },
    MINUTES,
  );

  test(
    "what it does not know, by name and with status 64",
    () => {
      using root = rootWithRelease(shells.base);
      for (const [words, told] of [
        ["--form deb", "unknown: --form"],
        ["--from", "--from needs a value"],
        ["--format apk", "--format is deb, rpm or plain"],
        ["--purge", "--purge belongs to uninstall"],
        ["--secret-file -", "--secret-file takes a file"],
      ] as const) {
        expect(root.run(`sh ${RELEASE}/install.sh ${words}`)).toEqual(refused(told, 64));
      }
    },
    MINUTES,
  );

  test(
    "to change anything as somebody without root, and shows it all the same",
    () => {
      using root = rootWithRelease(shells.base);
      // Nor anything that would give it.
      root.run("rm -f /usr/bin/sudo /usr/bin/doas");
      const before = root.files();
      const as = "setpriv --reuid=nobody --regid=nogroup --clear-groups sh";
      expect(root.run(`${as} ${INSTALL}`)).toEqual(refused("this needs root"));
      expect(root.run(`${as} ${INSTALL} --dry-run`)).toEqual(good("would run: install -m 755"));
      expect(root.files()).toEqual(before);
    },
    MINUTES,
  );
});

describe.skipIf(shells.missing !== undefined)(`signatures (${shells.missing ?? "chroot"})`, () => {
  // A deb is not unpacked to be shown.
  const look = `sh ${INSTALL} --format deb --dry-run`;

  test(
    "are judged by whichever program there is, and without one nothing is done",
    () => {
      using root = rootWithRelease(shells.base);
      const before = root.files();
      for (const program of ["openssl", "ssh-keygen", "gpgv"]) {
        if (!has(root.root, `usr/bin/${program}`))
          copyFileSync(`/usr/bin/${program}`, join(root.root, "usr/bin", program));
        expect(root.run(look)).toEqual(good(`The signature is good (${program}).`));
        root.run(`cp ${RELEASE}/SHA256SUMS /tmp/kept && sed -i s/^./0/ ${RELEASE}/SHA256SUMS`);
        expect(root.run(look)).toEqual(
          refused(`is not signed by the key of releases (${program})`),
        );
        root.run(`mv /tmp/kept ${RELEASE}/SHA256SUMS`);
        rmSync(join(root.root, "usr/bin", program));
      }
      expect(root.run(`sh ${INSTALL}`)).toEqual(refused("no program here can judge the signature"));
      mkdirSync(join(root.root, "tmp"), { recursive: true });
      const gone = /^usr\/bin\/(?:openssl|ssh-keygen|gpgv) /;
      expect(root.files()).toEqual(before.filter((line) => !gone.test(line)));
    },
    2 * MINUTES,
  );

  const sqv = "path" in newest ? newest.path : undefined;
  test.skipIf(sqv === undefined)(
    "are judged by sqv where apt has brought it (debian-13)",
    () => {
      using root = rootWithRelease(sqv ?? "");
      root.run("rm -f /usr/bin/openssl /usr/bin/ssh-keygen /usr/bin/gpgv");
      expect(root.run(look)).toEqual(good("The signature is good (sqv)."));
      root.run(`sed -i s/^./0/ ${RELEASE}/SHA256SUMS`);
      expect(root.run(look)).toEqual(refused("is not signed by the key of releases (sqv)"));
    },
    MINUTES,
  );
});

test.skipIf(bare.missing !== undefined)(
  `a Debian without systemd, curl and openssl gets the deb, and gives it back (${bare.missing ?? "chroot"})`,
  () => {
    using root = rootWithRelease(bare.base);
    const before = root.files();
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed (deb)."));
    expect(root.run("dpkg-query -W peat-sidecar").text).toContain("0.1.0-1");
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed already (deb)."));
    root.run("echo >>/usr/lib/peat-sidecar/iroh.node");
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed (deb)."));
    expect(root.run(`sh ${INSTALL}`)).toEqual(good("is installed already (deb)."));
    expect(root.run(`sh ${INSTALL} --format plain`)).toEqual(refused("is here as a deb"));
    expect(root.run(`sh ${RELEASE}/install.sh uninstall --purge`).code).toBe(0);
    expect(root.files()).toEqual(before);

    expect(root.run(`sh ${INSTALL} --format plain`)).toEqual(good("No service manager was found"));
    expect(root.run(`sh ${INSTALL}`)).toEqual(refused("is here as plain files"));
    expect(root.run(`sh ${INSTALL} --format plain --setup`)).toEqual(good("holds a new secret"));
    expect(root.run(`sh ${RELEASE}/install.sh uninstall --purge`).code).toBe(0);
    expect(root.files()).toEqual(before);
  },
  5 * MINUTES,
);

test.skipIf(old.missing !== undefined)(
  `a C library that is too old is told of, and nothing is changed (${old.missing ?? "chroot"})`,
  () => {
    using root = rootWithRelease(old.base);
    const before = root.files();
    expect(root.run(`sh ${INSTALL} --format plain`)).toEqual(
      refused("needs glibc 2.34 or later; this system has 2.31"),
    );
    expect(root.files()).toEqual(before);
  },
  2 * MINUTES,
);
