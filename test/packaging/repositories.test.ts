// Signed repositories made by the scripts, used by the real apt and dnf with the words of docs/install.md.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { BareRoot, Machine } from "../support/machine.ts";
import { BY_SOCKET, bring, byRpc, RPC_WRITE, rootOrReason } from "../support/packaged-node.ts";
import { makeSmallPackage } from "../support/small-package.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const HOST = "https://packages.example.org";

/** Why a repository can't be made here, or undefined. */
function without(...programs: readonly string[]): string | undefined {
  const program = programs.find((name) => Bun.which(name) === null);
  return program === undefined ? undefined : `needs the program ${program}`;
}

const booted = await rootOrReason("debian-12");
const offline = await rootOrReason("debian-13");
const dnf = await rootOrReason("debian-12-dnf");
const noApt = booted.missing ?? without("gpg", "apt-ftparchive");
const noFile = offline.missing ?? without("gpg", "apt-ftparchive");
const noDnf = dnf.missing ?? without("gpg", "createrepo_c", "rpmsign");

let packages: TestPackages;
let folder: TempFolder;
let rpms: readonly string[];

function script(words: readonly string[], gpgHome = folder.file("gpg")) {
  const done = Bun.spawnSync([...words], {
    cwd: projectDir,
    env: { PATH: Bun.env["PATH"] ?? "", HOME: gpgHome, GNUPGHOME: gpgHome },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { code: done.exitCode, text: `${done.stdout}${done.stderr}` };
}

function must(words: readonly string[]): void {
  const { code, text } = script(words);
  if (code !== 0) throw new Error(`${words.join(" ")}: ${text}`);
}

beforeAll(async () => {
  if ([noApt, noFile, noDnf].every((missing) => missing !== undefined)) return;
  packages = await makeTestPackages();
  folder = tempFolder();
  must(["mkdir", "-m", "700", folder.file("gpg")]);
  for (const name of ["ours", "other"]) {
    const key = ["--quick-generate-key", `${name}@example.org`, "rsa2048", "sign", "never"];
    must(["gpg", "--batch", "--quiet", "--passphrase", "", ...key]);
    const file = folder.file(`${name}.asc`);
    must(["gpg", "--batch", "--armor", "--output", file, "--export", `${name}@example.org`]);
  }
  if (noApt === undefined || noFile === undefined) {
    for (const release of [1, 2] as const) {
      const deb = packages.deb(release);
      must(["scripts/apt-repository", "--key", "ours@example.org", folder.file("apt"), deb]);
    }
  }
  if (noDnf === undefined) {
    rpms = [
      await packages.make("rpm", "1", "zstd:fastest"),
      await packages.make("rpm", "2", "zstd:fastest"),
    ];
    for (const rpm of rpms) {
      must(["scripts/dnf-repository", "--key", "ours@example.org", folder.file("rpm"), rpm]);
    }
  }
}, 10 * MINUTES);
afterAll(() => {
  packages?.[Symbol.dispose]();
  folder?.[Symbol.dispose]();
});

/** The shell blocks of docs/install.md that hold some words, with another address for the example's. */
function documented(words: string, address: string): string {
  const text = readFileSync(join(projectDir, "docs/install.md"), "utf8");
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block);
  const found = blocks.filter((block) => block.includes(words));
  expect(found).toHaveLength(1);
  return `set -e\n${found.join("").replaceAll(HOST, address)}`;
}

/** Serves the repositories inside the machine's network; their base URL. */
async function serve(machine: Machine): Promise<AsyncDisposable & { readonly url: string }> {
  const program = resolve(import.meta.dirname, "../support/folder-server.ts");
  const command = machine.command([process.execPath, program, folder.path], "network");
  const server = Bun.spawn(command, { stdout: "pipe" });
  const { value } = await server.stdout.getReader().read();
  const port = Buffer.from(value ?? [])
    .toString()
    .trim();
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.kill();
      await server.exited;
    },
  };
}

const aptVersion = "dpkg-query -W peat-sidecar | cut -f 2";
const KEYRING = "etc/apt/keyrings/peat-sidecar.asc";

describe("the scripts", () => {
  test.skipIf(Bun.which("shellcheck") === null)("are as shellcheck wants them", () => {
    const paths = ["apt-repository", "dnf-repository", "repository-common.sh"];
    const done = script(["shellcheck", "-x", ...paths.map((name) => `scripts/${name}`)], "/");
    expect(done).toEqual({ code: 0, text: "" });
  });

  test.skipIf(noApt !== undefined)(
    `never replace a package of the same version, and take the same one again (${noApt ?? "apt"})`,
    () => {
      const add = (deb: string) =>
        script(["scripts/apt-repository", "--key", "ours@example.org", folder.file("apt"), deb]);
      expect(add(packages.deb(1)).code).toBe(0);
      const changed = folder.file(basename(packages.deb(1)));
      writeFileSync(changed, "another");
      expect(add(changed)).toMatchObject({
        code: 1,
        text: expect.stringContaining("is there already"),
      });
      expect(script(["scripts/apt-repository", folder.file("apt")]).code).toBe(64);
      expect(
        script(["scripts/apt-repository", "--key", "nobody", folder.file("new")]).code,
      ).not.toBe(0);
    },
    MINUTES,
  );
});

test.skipIf(noApt !== undefined)(
  `apt installs from the signed repository over HTTP, is pinned, and trusts one key (${noApt ?? "booted"})`,
  async () => {
    await using machine = await Machine.boot(booted.base, { hostname: "host-a" });
    await using server = await serve(machine);
    // The machine has no way to the distribution's own repositories.
    machine.read("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*");
    machine.read(documented("/etc/apt/keyrings", server.url));
    expect(machine.read(aptVersion)).toBe("0.1.0-2");
    machine.read("peat-sidecar setup");
    expect(machine.property("ActiveState")).toBe("active");
    machine.read(byRpc(BY_SOCKET, "PutDocument", RPC_WRITE));

    machine.read(documented("preferences.d/peat-sidecar <<", server.url));
    expect(machine.read("apt-cache policy peat-sidecar")).toContain("Candidate: 0.1.0-1");
    machine.read("apt-get install -y -q --allow-downgrades peat-sidecar");
    expect(machine.read(aptVersion)).toBe("0.1.0-1");
    expect(machine.property("ActiveState")).toBe("active");
    machine.read("apt-get upgrade -y -q");
    expect(machine.read(aptVersion)).toBe("0.1.0-1");
    machine.read(`rm /etc/apt/preferences.d/peat-sidecar`);
    machine.read(documented("preferences.d/peat-sidecar-only", server.url));
    expect(machine.read("apt-cache policy peat-sidecar")).toContain("Candidate: 0.1.0-2");

    // Another key, and another package under the same name: both are refused.
    machine.read("apt-get purge -y -q peat-sidecar && apt-get clean");
    cpSync(folder.file("other.asc"), join(machine.root, KEYRING));
    machine.read("rm -rf /var/lib/apt/lists/*");
    const refused = machine.run("apt-get update -q && apt-get install -y -q peat-sidecar");
    expect(refused.code).toBe(100);
    expect(refused.text).toMatch(/NO_PUBKEY|is not signed/);
    cpSync(folder.file("ours.asc"), join(machine.root, KEYRING));
    machine.read("apt-get update -q");
    const pool = folder.file("apt/pool");
    const deb = join(pool, basename(packages.deb(2)));
    renameSync(deb, `${deb}.kept`);
    writeFileSync(deb, readFileSync(packages.deb(1)));
    const changed = machine.run("apt-get install -y -q peat-sidecar");
    renameSync(`${deb}.kept`, deb);
    expect(changed.code).toBe(100);
    expect(changed.text).toMatch(/Hash Sum mismatch|unexpected size/);
    expect(machine.run("dpkg-query -W peat-sidecar").code).not.toBe(0);
  },
  5 * MINUTES,
);

test.skipIf(noFile !== undefined)(
  `apt of Debian 13 installs from a folder that was carried there, and trusts one key (${noFile ?? "chroot"})`,
  () => {
    using root = new BareRoot(offline.base);
    cpSync(folder.file("apt"), join(root.root, "media/apt"), { recursive: true });
    root.run("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*");
    const installed = root.run(documented("/etc/apt/keyrings", "file:///media"));
    expect(installed).toMatchObject({ code: 0 });
    expect(root.run(`${aptVersion} && peat-sidecar --version`).text).toStartWith("0.1.0-2");
    cpSync(folder.file("other.asc"), join(root.root, KEYRING));
    root.run("rm -rf /var/lib/apt/lists/*");
    expect(root.run("apt-get update -q").code).toBe(100);
  },
  5 * MINUTES,
);

test.skipIf(noDnf !== undefined)(
  `dnf installs from the signed repository, goes back, and trusts one key for lists and packages (${noDnf ?? "booted"})`,
  async () => {
    await using machine = await Machine.boot(dnf.base, { hostname: "host-a" });
    await using server = await serve(machine);
    const version = /([\d.]+)$/.exec(machine.read("ldd --version | head -1"))?.[1] ?? "";
    const library = await makeSmallPackage("rpm", folder.path, {
      name: "glibc",
      version,
      provides: ["libgcc", "/bin/sh", "shadow-utils"],
    });
    machine.read(`rpm -U --force-debian ${bring(machine, library)}`);
    machine.read("mkdir -p /etc/yum.repos.d");
    machine.read(documented("yum.repos.d/peat-sidecar.repo", server.url));
    const here = () => machine.read("rpm -q --qf '%{VERSION}-%{RELEASE}' peat-sidecar");
    expect(here()).toBe("0.1.0-2");
    machine.read("peat-sidecar setup");
    machine.read(byRpc(BY_SOCKET, "PutDocument", RPC_WRITE));
    machine.read("dnf -y downgrade peat-sidecar-0.1.0-1");
    expect(here()).toBe("0.1.0-1");
    expect(machine.property("ActiveState")).toBe("active");
    machine.read("dnf -y remove peat-sidecar");

    // A list that another key has signed, then a package that nobody has.
    const list = folder.file("rpm/repodata/repomd.xml");
    renameSync(`${list}.asc`, `${list}.kept`);
    const sign = ["--local-user", "other@example.org", "--armor", "--detach-sign"];
    must(["gpg", "--batch", "--yes", ...sign, "--output", `${list}.asc`, list]);
    machine.read("dnf clean all");
    const byOther = machine.run("dnf -y install peat-sidecar");
    renameSync(`${list}.kept`, `${list}.asc`);
    expect([byOther.code, byOther.text]).toEqual([1, expect.stringMatching(/signature|GPG/i)]);

    machine.read("mkdir -p /media/unsigned");
    cpSync(rpms[1] ?? "", join(machine.root, "media/unsigned/peat-sidecar.rpm"));
    const unsigned = machine.run(
      "dnf -y --setopt=localpkg_gpgcheck=1 install /media/unsigned/peat-sidecar.rpm",
    );
    expect([unsigned.code, unsigned.text]).toEqual([1, expect.stringContaining("not signed")]);
    expect(machine.run("rpm -q peat-sidecar").code).not.toBe(0);
  },
  5 * MINUTES,
);
