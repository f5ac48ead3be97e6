// Real Debian systems for tests, made by mmdebstrap once per machine and kept in the user's cache. Tests lay a layer
// of their own over them and never write into them.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { testCacheFolder } from "./test-cache.ts";

/**
 * What each is for: 12 and 13 boot systemd 252 and 257, `rpm` and `dnf` have those package managers too, `shells` boots
 * OpenRC and has several of them, `bare` has no systemd, 11 is too old for the packages.
 */
export const DEBIAN_ROOTS = {
  "debian-12": {
    suite: "bookworm",
    packages: ["systemd-sysv", "dbus", "curl", "iproute2", "openssl"],
  },
  "debian-13": { suite: "trixie", packages: ["systemd-sysv", "dbus", "curl", "iproute2"] },
  "debian-12-rpm": { suite: "bookworm", packages: ["systemd-sysv", "dbus", "curl", "rpm"] },
  "debian-12-dnf": {
    suite: "bookworm",
    packages: ["systemd-sysv", "dbus", "curl", "rpm", "dnf", "gpg"],
  },
  "debian-12-shells": {
    suite: "bookworm",
    packages: ["openrc", "busybox", "mksh", "sudo", "curl", "wget", "openssh-client"],
  },
  "debian-12-bare": { suite: "bookworm", packages: [] },
  "debian-11-bare": { suite: "bullseye", packages: [] },
} as const satisfies Record<string, { suite: string; packages: readonly string[] }>;

export type DebianRoot = keyof typeof DEBIAN_ROOTS;

export const DEBIAN_ROOT_NAMES = Object.keys(DEBIAN_ROOTS) as DebianRoot[];

const BUILD_LIMIT_S = 20 * 60;

/** One that was made of other packages is another one. */
function folderOf(name: DebianRoot): string {
  const { packages } = DEBIAN_ROOTS[name];
  return testCacheFolder([name, ...packages].join("+"));
}

/** The root's folder, or why there is none. */
export async function findDebianRoot(
  name: DebianRoot,
): Promise<{ path: string } | { missing: string }> {
  const path = join(folderOf(name), "root");
  if (await Bun.file(join(path, "etc/debian_version")).exists()) return { path };
  return { missing: `needs a root of ${name}; make it with: bun scripts/debian-roots.ts` };
}

/** Makes it unless it is there; a second process that wants it waits for the first. Throws what mmdebstrap said. */
export async function ensureDebianRoot(name: DebianRoot): Promise<string> {
  const found = await findDebianRoot(name);
  if ("path" in found) return found.path;
  const { suite, packages } = DEBIAN_ROOTS[name];
  const folder = folderOf(name);
  await mkdir(folder, { recursive: true });
  // Moved into place when whole: half a root is none.
  const include = packages.length === 0 ? "" : `--include=${packages.join(",")}`;
  const command = `mmdebstrap --quiet --variant=apt ${include} ${suite} part`;
  const make = `test -e root/etc/debian_version || { rm -rf part && ${command} && mv part root; }`;
  const build = Bun.spawn(["flock", "lock", "timeout", String(BUILD_LIMIT_S), "sh", "-c", make], {
    cwd: folder,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
  });
  const told = await new Response(build.stderr).text();
  if ((await build.exited) !== 0) {
    throw new Error(`${name} was not made:\n${told.split("\n").slice(-15).join("\n")}`);
  }
  return join(folder, "root");
}
