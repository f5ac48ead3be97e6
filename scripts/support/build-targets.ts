// The machines that the executable is built for, and where the QUIC addon of each comes from.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { projectDir, readPackageJson } from "./project.ts";

interface TargetRow {
  /** Name of Bun's runtime for this machine. */
  readonly runtime: Bun.Build.CompileTarget;
  /** Last part of the addon's package name: `@number0/iroh-<addon>`. */
  readonly addon: string;
}

export const TARGETS = {
  "linux-x64": { runtime: "bun-linux-x64", addon: "linux-x64-gnu" },
  "linux-arm64": { runtime: "bun-linux-arm64", addon: "linux-arm64-gnu" },
  "linux-x64-musl": { runtime: "bun-linux-x64-musl", addon: "linux-x64-musl" },
  "linux-arm64-musl": { runtime: "bun-linux-arm64-musl", addon: "linux-arm64-musl" },
} as const satisfies Record<string, TargetRow>;

export type TargetName = keyof typeof TARGETS;

export function isTargetName(text: string): text is TargetName {
  return Object.hasOwn(TARGETS, text);
}

export const TARGET_NAMES = Object.keys(TARGETS).filter(isTargetName);

/** The target that this machine is. Throws on a machine that is none of them. */
export function hostTarget(): TargetName {
  const musl = Bun.spawnSync(["sh", "-c", "ls /lib/ld-musl-* 2>/dev/null"]).stdout.length > 0;
  const glibc = Bun.spawnSync(["sh", "-c", "ls /lib*/ld-linux-* 2>/dev/null"]).stdout.length > 0;
  const name = `${process.platform}-${process.arch}${musl && !glibc ? "-musl" : ""}`;
  if (!isTargetName(name)) {
    throw new Error(`this machine is ${name}; the executable is for ${TARGET_NAMES.join(", ")}`);
  }
  return name;
}

/** Files of an addon's package: the library itself and the package.json that its loader reads. */
export interface Addon {
  readonly library: string;
  readonly packageJson: string;
}

async function addonIn(modulesDir: string, suffix: string): Promise<Addon | undefined> {
  const folder = join(modulesDir, "@number0", `iroh-${suffix}`);
  const addon = {
    library: join(folder, `iroh.${suffix}.node`),
    packageJson: join(folder, "package.json"),
  };
  return (await Bun.file(addon.library).exists()) ? addon : undefined;
}

/** The hash that the lock file pins for a package: everything that is embedded is what was reviewed. */
async function lockedHash(lockFile: string, packageName: string): Promise<string | undefined> {
  const file = Bun.file(lockFile);
  if (!(await file.exists())) return undefined;
  const line = (await file.text()).split("\n").find((l) => l.includes(`"${packageName}": ["`));
  return /"(sha512-[A-Za-z0-9+/=]+)"\]/.exec(line ?? "")?.[1];
}

/**
 * The addon of a target: from node_modules, else installed into .cache at the version and hash that bun.lock pins.
 * Where there is none, the answer is the reason, as text.
 */
export async function findAddon(target: TargetName): Promise<Addon | string> {
  const suffix = TARGETS[target].addon;
  const installed = await addonIn(join(projectDir, "node_modules"), suffix);
  if (installed !== undefined) return installed;

  const { dependencies } = await readPackageJson();
  const packageName = `@number0/iroh-${suffix}`;
  const version = dependencies["@number0/iroh"] ?? "";
  const wanted = await lockedHash(join(projectDir, "bun.lock"), packageName);
  if (wanted === undefined) {
    return `the package ${packageName} ${version} is not in bun.lock: it was not published`;
  }

  const folder = join(projectDir, ".cache", "addons", target);
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ private: true, dependencies: { [packageName]: version } }),
  );
  const install = Bun.spawnSync(
    [process.execPath, "install", "--silent", "--os=*", "--cpu=*", "--libc=*"],
    { cwd: folder, stdout: "pipe", stderr: "pipe" },
  );
  if (!install.success) {
    return `${packageName} ${version} could not be installed: ${install.stderr.toString().trim()}`;
  }
  const got = await lockedHash(join(folder, "bun.lock"), packageName);
  if (got !== wanted) return `${packageName} ${version} has hash ${got}, bun.lock says ${wanted}`;
  const fetched = await addonIn(join(folder, "node_modules"), suffix);
  return fetched ?? `${packageName} ${version} holds no iroh.${suffix}.node`;
}
