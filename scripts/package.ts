// bun run package: deb, rpm, archives, the bill of materials, install.sh and their checksums, in dist/packages/.
// Equal sources give equal bytes, whoever makes them, when and where.
import { mkdir, rm, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeArchive, makeSystemArchive } from "./package/archive.ts";
import { readSigningKey, writeChecksums } from "./package/checksums.ts";
import { writeInstaller } from "./package/installer.ts";
import { type Arch, makePackage } from "./package/nfpm-package.ts";
import { renderSbom } from "./package/sbom.ts";
import { packageVersion, stage } from "./package/stage.ts";
import { type Addon, findAddon, TARGETS, type TargetName } from "./support/build-targets.ts";
import { distDir, projectDir } from "./support/project.ts";

const USAGE = `usage: bun run package [--arch amd64|arm64|all] [--format FORMAT]... [--sign-key FILE]

Makes dist/packages/: deb, rpm, tar.gz to unpack anywhere, and system, the files that install.sh puts in place where
there are no packages (--format takes some of them); an SBOM, install.sh and SHA256SUMS.
Without --arch for all machines that the QUIC addon was published for.
--addon FILE is the library of the addon where none was published; only with one --arch.
--compression KIND is nfpm's for deb and rpm, in place of what is best: zstd:fastest for a try.
--sign-key FILE signs SHA256SUMS, and install.sh then trusts that key alone: an Ed25519 key in PEM (openssl genpkey
-algorithm ed25519).`;

const TARGET_OF: Readonly<Record<Arch, TargetName>> = { amd64: "linux-x64", arm64: "linux-arm64" };
const FORMATS = ["deb", "rpm", "tar.gz", "system"] as const;

/** Time of the last commit, so that nothing depends on when it is made. */
function sourceTime(): Date {
  const told = Bun.env["SOURCE_DATE_EPOCH"];
  const git = Bun.spawnSync(["git", "log", "-1", "--format=%ct"], { cwd: projectDir });
  const seconds = Number(told ?? (git.success ? git.stdout.toString().trim() : "0"));
  if (!Number.isSafeInteger(seconds)) throw new Error(`SOURCE_DATE_EPOCH is no time: ${told}`);
  return new Date(seconds * 1000);
}

interface Job {
  readonly arch: Arch;
  readonly addon: Addon;
  readonly formats: ReadonlySet<string>;
  readonly folder: string;
  readonly compression: string | undefined;
}

async function packagesOf({ arch, addon, formats, folder, compression }: Job): Promise<string[]> {
  const target = TARGET_OF[arch];
  const time = sourceTime();
  const { version, release } = await packageVersion();
  const paths: string[] = [];
  if (["deb", "rpm", "system"].some((format) => formats.has(format))) {
    const staged = join(folder, `.stage-${arch}`);
    await stage({ target, addon, folder: staged, version: `${version}-${release}`, time });
    for (const format of ["deb", "rpm"] as const) {
      if (!formats.has(format)) continue;
      const common = { arch, version, release, stage: staged, folder, time, compression };
      paths.push(await makePackage({ format, ...common }));
    }
    if (formats.has("system")) {
      const level = compression === undefined ? {} : { level: 1 };
      paths.push(
        await makeSystemArchive({ target, stage: staged, version, folder, time, ...level }),
      );
    }
    await rm(staged, { recursive: true });
  }
  if (formats.has("tar.gz")) {
    paths.push(await makeArchive({ target, addon, version, folder, time }));
  }
  const sbom = join(folder, `peat-sidecar-${version}-${target}.cdx.json`);
  await Bun.write(sbom, await renderSbom(TARGETS[target].addon, time));
  return [...paths, sbom];
}

function readCommandLine() {
  const { values } = parseArgs({
    options: {
      arch: { type: "string", default: "all" },
      format: { type: "string", multiple: true, default: [...FORMATS] },
      addon: { type: "string" },
      compression: { type: "string" },
      "sign-key": { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const arches = (["amd64", "arm64"] as const).filter((a) => ["all", a].includes(values.arch));
  const isUnknown = values.format.some((format) => !FORMATS.some((known) => known === format));
  const isVague = values.addon !== undefined && arches.length !== 1;
  return { ...values, arches, isWrong: arches.length === 0 || isUnknown || isVague };
}

async function main(): Promise<number> {
  const asked = readCommandLine();
  if (asked.help || asked.isWrong) {
    (asked.help ? console.log : console.error)(USAGE);
    return asked.help ? 0 : 64;
  }
  // Before the minutes that the packages take.
  const key = asked["sign-key"] === undefined ? undefined : readSigningKey(asked["sign-key"]);
  const folder = join(distDir, "packages");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (const arch of asked.arches) {
    const given = asked.addon === undefined ? undefined : resolve(asked.addon);
    const found = await findAddon(TARGET_OF[arch]);
    const addon = given === undefined ? found : { library: given, packageJson: "" };
    if (typeof addon === "string") {
      console.error(`no packages for ${arch}: ${addon}. One built elsewhere is given by --addon.`);
      if (asked.arch !== "all") return 1;
      continue;
    }
    const formats = new Set(asked.format);
    const { compression } = asked;
    paths.push(...(await packagesOf({ arch, addon, formats, folder, compression })));
  }
  if (paths.length === 0) return 1;
  paths.push(await writeInstaller(folder, key));
  const checksums = await writeChecksums({ paths, folder, key, time: sourceTime() });
  for (const path of [...paths, ...checksums]) {
    const megabytes = ((await stat(path)).size / 1e6).toFixed(2);
    console.log(`dist/packages/${basename(path)}  ${megabytes} MB`);
  }
  return 0;
}

process.exitCode = await main();
