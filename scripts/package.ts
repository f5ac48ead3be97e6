// bun run package: the executable of this machine with its documents, as one archive and its checksum in dist/.
// Equal sources give equal bytes, whoever builds them, when and where. Deb and rpm are not made yet.
import { copyFile, mkdir, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { findAddon, hostTarget } from "./support/build-targets.ts";
import { ensureExecutable, executablePath } from "./support/executable.ts";
import { distDir, projectDir, readPackageJson } from "./support/project.ts";

const DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/configuration.md"];

/** Time of the last commit, so that the archive does not depend on when it is made. */
function sourceTime(): string {
  const git = Bun.spawnSync(["git", "log", "-1", "--format=%ct"], { cwd: projectDir });
  return git.success ? git.stdout.toString().trim() : "0";
}

function run(command: readonly string[], cwd: string): void {
  const done = Bun.spawnSync([...command], { cwd, stderr: "pipe" });
  if (!done.success) throw new Error(`${command[0]} failed: ${done.stderr.toString().trim()}`);
}

async function main(): Promise<void> {
  const target = hostTarget();
  const addon = await findAddon(target);
  if (typeof addon === "string") throw new Error(`can't package for ${target}: ${addon}`);
  await ensureExecutable(addon);
  const { version } = await readPackageJson();
  const name = `peat-sidecar-${version}-${target}`;
  const folder = join(distDir, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await copyFile(executablePath, join(folder, "peat-sidecar"));
  await symlink("peat-sidecar", join(folder, "peat-mesh-node"));
  for (const path of DOCUMENTS) {
    await copyFile(join(projectDir, path), join(folder, basename(path)));
  }
  const owner = ["--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  const order = ["--sort=name", `--mtime=@${sourceTime()}`, "--format=gnu"];
  run(["tar", ...order, ...owner, "-cf", `${name}.tar`, name], distDir);
  run(["gzip", "-9nf", `${name}.tar`], distDir);
  await rm(folder, { recursive: true });
  const archive = Bun.file(join(distDir, `${name}.tar.gz`));
  const hash = new Bun.CryptoHasher("sha256").update(await archive.bytes()).digest("hex");
  await Bun.write(join(distDir, "SHA256SUMS"), `${hash}  ${name}.tar.gz\n`);
  console.log(`dist/${name}.tar.gz  ${(archive.size / 1e6).toFixed(1)} MB  sha256 ${hash}`);
}

await main();
