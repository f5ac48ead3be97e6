// Archives: the executable with the addon inside and its documents, to unpack anywhere; and the files of a whole
// system as the packages have them, for install.sh where there are no packages.
import { chmod, copyFile, cp, mkdir, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Addon, TargetName } from "../support/build-targets.ts";
import { compile } from "../support/executable.ts";
import { projectDir } from "../support/project.ts";

const DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/configuration.md"];

export interface ArchiveOptions {
  readonly target: TargetName;
  readonly addon: Addon;
  readonly version: string;
  /** Where the archive is put. */
  readonly folder: string;
  readonly time: Date;
  /** Of gzip; 9 unless it is given: tests are in a hurry. */
  readonly level?: number;
}

function run(command: readonly string[], cwd: string): void {
  const done = Bun.spawnSync([...command], { cwd, stderr: "pipe" });
  if (!done.success) throw new Error(`${command[0]} failed: ${done.stderr.toString().trim()}`);
}

/** Makes the archive and returns its path; equal sources give equal bytes. */
export async function makeArchive(options: ArchiveOptions): Promise<string> {
  const { target, addon, version, folder } = options;
  const name = `peat-sidecar-${version}-${target}`;
  const tree = join(folder, name);
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree, { recursive: true });
  await compile({ target, addon, folder: tree });
  await rm(join(tree, "peat-mesh-node"));
  await symlink("peat-sidecar", join(tree, "peat-mesh-node"));
  for (const path of DOCUMENTS) await copyFile(join(projectDir, path), join(tree, basename(path)));
  return pack(name, options);
}

const SYSTEM_FILES: Readonly<Record<string, string>> = {
  "systemd/peat-sidecar.service": "usr/lib/systemd/system/peat-sidecar.service",
  "systemd/peat-sidecar.sysusers": "usr/lib/sysusers.d/peat-sidecar.conf",
  "systemd/peat-sidecar.tmpfiles": "usr/lib/tmpfiles.d/peat-sidecar.conf",
  "packaging/openrc/peat-sidecar": "etc/init.d/peat-sidecar",
};

const SYSTEM_LINKS: Readonly<Record<string, string>> = {
  "usr/share/man/man1/peat-mesh-node.1.gz": "peat-sidecar.1.gz",
  "usr/share/man/man8/peat-mesh-node.8.gz": "peat-sidecar.8.gz",
  "usr/share/bash-completion/completions/peat-mesh-node": "peat-sidecar",
};

/** Of the stage: what only images and Debian's packages have. */
const NOT_PLAIN = ["data", "usr/share/doc/peat-sidecar/changelog.Debian.gz"];

/** Makes the archive of a laid-out stage and returns its path; its paths are those of the system. */
export async function makeSystemArchive(
  options: Omit<ArchiveOptions, "addon"> & { readonly stage: string },
): Promise<string> {
  const { target, stage, version, folder } = options;
  const name = `peat-sidecar-${version}-${target}-system`;
  const tree = join(folder, name);
  await rm(tree, { recursive: true, force: true });
  await cp(stage, tree, { recursive: true, verbatimSymlinks: true });
  for (const path of NOT_PLAIN) await rm(join(tree, path), { recursive: true });
  for (const [source, path] of Object.entries(SYSTEM_FILES)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await copyFile(join(projectDir, source), join(tree, path));
  }
  for (const [path, to] of Object.entries(SYSTEM_LINKS)) await symlink(to, join(tree, path));
  await chmod(join(tree, "etc/init.d/peat-sidecar"), 0o755);
  const zsh = join(tree, "usr/share/zsh/site-functions/_peat-sidecar");
  await mkdir(dirname(zsh), { recursive: true });
  await rename(join(tree, "usr/share/zsh/_peat-sidecar"), zsh);
  return pack(name, options);
}

/** Equal trees give equal bytes; the tree is gone afterwards. */
async function pack(
  name: string,
  { folder, time, level = 9 }: Pick<ArchiveOptions, "folder" | "time" | "level">,
): Promise<string> {
  const owner = ["--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  const mtime = `--mtime=@${Math.floor(time.getTime() / 1000)}`;
  run(["tar", "--sort=name", mtime, "--format=gnu", ...owner, "-cf", `${name}.tar`, name], folder);
  run(["gzip", `-${level}nf`, `${name}.tar`], folder);
  await rm(join(folder, name), { recursive: true });
  return join(folder, `${name}.tar.gz`);
}
