// What is in the packages, judged by the tools of Debian; and that anybody who makes them gets the same bytes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { findAddon } from "../../scripts/support/build-targets.ts";
import { nfpm as nfpmProgram } from "../../scripts/support/go-program.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { quieten } from "../../scripts/support/quiet-addon.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const NOBODY = "65534";
const nfpm = await nfpmProgram.find();
const addon = await findAddon("linux-x64");
const missing = "missing" in nfpm ? nfpm.missing : typeof addon === "string" ? addon : undefined;
const without = (program: string) =>
  missing ?? (Bun.which(program) === null ? `needs the program ${program}` : undefined);

function outcome(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
) {
  const done = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe", ...options });
  return { code: done.exitCode, text: `${done.stdout}${done.stderr}` };
}

let packages: TestPackages;
beforeAll(async () => {
  if (missing === undefined) packages = await makeTestPackages();
}, 10 * MINUTES);
afterAll(() => packages?.[Symbol.dispose]());

describe("the deb", () => {
  const lintian = without("lintian");
  test.skipIf(lintian !== undefined)(
    `satisfies lintian: no errors, no warnings, every override needed (${lintian ?? "lintian"})`,
    async () => {
      // Its release in Debian 12 does not know zstd, and the xz of what is published takes minutes.
      const deb = await packages.make("deb", "3", "gzip:1");
      const { text } = outcome(["lintian", "--allow-root", "--fail-on", "none", deb]);
      expect(text.split("\n").filter((line) => /^[EW]: /.test(line))).toEqual([]);
      const unused = outcome([
        "lintian",
        "--allow-root",
        "--fail-on",
        "none",
        "--tags",
        "unused-override,mismatched-override,malformed-override",
        deb,
      ]);
      expect(unused.text.trim()).toBe("");
    },
    10 * MINUTES,
  );

  const dpkg = without("dpkg-deb");
  test.skipIf(dpkg !== undefined)(
    `gives every file to root and lets nobody else write (${dpkg ?? "dpkg-deb"})`,
    () => {
      const lines = outcome(["dpkg-deb", "-c", packages.deb(1)])
        .text.trim()
        .split("\n");
      expect(lines.length).toBeGreaterThan(20);
      for (const line of lines) {
        expect(line).toMatch(/^\S+ root\/root /);
        if (!line.startsWith("l")) expect(line).toMatch(/^.{5}-.{2}-/);
      }
      expect(lines.join("\n")).toContain("./usr/bin/peat-mesh-node -> peat-sidecar\n");
    },
  );

  test.skipIf(missing !== undefined)(
    `has the quiet addon beside the executable and not in it (${missing ?? "nfpm"})`,
    async () => {
      if (typeof addon === "string") throw new Error(addon);
      const shipped = readFileSync(join(packages.stage, "usr/lib/peat-sidecar/iroh.node"));
      expect(shipped.equals(quieten(await Bun.file(addon.library).bytes()))).toBe(true);
      const executable = readFileSync(join(packages.stage, "usr/bin/peat-sidecar"));
      const piece = shipped.subarray(shipped.length >> 1, (shipped.length >> 1) + 256);
      expect(executable.includes(piece)).toBe(false);
    },
  );

  const shellcheck = without("shellcheck");
  test.skipIf(shellcheck !== undefined)(
    `has scripts that shellcheck finds nothing in (${shellcheck ?? "shellcheck"})`,
    () => {
      for (const kind of ["deb", "rpm"]) {
        const folder = join(projectDir, "packaging", kind);
        const scripts = readdirSync(folder).filter((name) =>
          readFileSync(join(folder, name), "utf8").startsWith("#!"),
        );
        expect(scripts.length).toBeGreaterThan(3);
        expect(
          outcome(["shellcheck", "--shell=sh", ...scripts.map((name) => join(folder, name))]),
        ).toEqual({ code: 0, text: "" });
      }
    },
  );

  const analyze = without("systemd-analyze");
  test.skipIf(analyze !== undefined)(
    `has a unit whose exposure is at most 1.5 (${analyze ?? "systemd-analyze"})`,
    () => {
      const unit = join(projectDir, "systemd/peat-sidecar.service");
      const { text } = outcome([
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        unit,
      ]);
      expect(
        Number(/exposure level for peat-sidecar\.service: ([\d.]+)/.exec(text)?.[1]),
      ).toBeLessThanOrEqual(1.5);
    },
  );
});

/** Makes all packages in a clone, as a user with a place, an umask and a time zone of its own. */
function makeIn(
  clone: string,
  options: { umask: string; zone: string; user?: string; cache: string },
): string {
  const { umask, zone, user, cache } = options;
  const as =
    user === undefined ? [] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
  const script = `umask ${umask} && exec "$0" scripts/package.ts --arch amd64 --compression zstd:fastest`;
  const env = {
    PATH: Bun.env["PATH"] ?? "",
    HOME: join(clone, ".home"),
    TZ: zone,
    XDG_CACHE_HOME: cache,
    LC_ALL: "C",
  };
  const made = outcome([...as, "sh", "-c", script, process.execPath], { cwd: clone, env });
  if (made.code !== 0) throw new Error(made.text);
  return readFileSync(join(clone, "dist/packages/SHA256SUMS"), "utf8");
}

const clones =
  missing ??
  (existsSync(join(projectDir, ".git")) ? undefined : "needs a checkout") ??
  (process.getuid?.() === 0 ? undefined : "needs root");
test.skipIf(clones !== undefined)(
  `two clones at other paths, with another user, umask and time zone, make equal bytes (${clones ?? "git"})`,
  () => {
    using folder = tempFolder();
    chmodSync(folder.path, 0o755);
    const cache = folder.file("cache");
    if ("path" in nfpm) {
      const kept = join(cache, "peat-sidecar-tests", basename(join(nfpm.path, "..")));
      mkdirSync(kept, { recursive: true });
      outcome(["cp", nfpm.path, kept]);
    }
    const [one, two] = [folder.file("one"), folder.file("a/longer/path/two")];
    for (const clone of [one, two]) {
      expect(outcome(["git", "clone", "-q", "--no-hardlinks", projectDir, clone]).code).toBe(0);
      expect(
        outcome([process.execPath, "install", "--frozen-lockfile", "--silent"], { cwd: clone })
          .code,
      ).toBe(0);
    }
    expect(outcome(["chown", "-R", `${NOBODY}:${NOBODY}`, two]).code).toBe(0);
    const first = makeIn(one, { umask: "022", zone: "UTC", cache });
    const second = makeIn(two, { umask: "077", zone: "Asia/Kathmandu", user: NOBODY, cache });
    expect(first.split("\n").filter((line) => line !== "")).toHaveLength(6);
    expect(second).toBe(first);
  },
  15 * MINUTES,
);

test.skipIf(missing !== undefined)(
  `sizes are told, and the deb has 55 MB at most (${missing ?? "nfpm"})`,
  async () => {
    const megabytes = (path: string) => statSync(path).size / 1e6;
    const deb = await packages.make("deb", "9");
    const sizes = {
      executable: megabytes(join(packages.stage, "usr/bin/peat-sidecar")),
      addon: megabytes(join(packages.stage, "usr/lib/peat-sidecar/iroh.node")),
      deb: megabytes(deb),
      "rpm for tests": megabytes(await packages.make("rpm", "9", "zstd:fastest")),
    };
    console.log(
      Object.entries(sizes)
        .map(([name, size]) => `${name} ${size.toFixed(1)} MB`)
        .join(", "),
    );
    expect(sizes.deb).toBeGreaterThan(20);
    expect(sizes.deb).toBeLessThanOrEqual(55);
  },
  15 * MINUTES,
);
