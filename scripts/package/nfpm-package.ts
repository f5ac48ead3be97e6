// One package made by nfpm from a laid-out folder: a deb or an rpm.
import { join } from "node:path";
import { nfpm } from "../support/go-program.ts";
import { projectDir } from "../support/project.ts";
import { compressDeb } from "./deb-archive.ts";

export type Format = "deb" | "rpm";
export type Arch = "amd64" | "arm64";

const RPM_ARCH: Readonly<Record<Arch, string>> = { amd64: "x86_64", arm64: "aarch64" };

export interface NfpmOptions {
  readonly format: Format;
  readonly arch: Arch;
  readonly version: string;
  readonly release: string;
  /** What stage() laid out. */
  readonly stage: string;
  /** Where the package is put. */
  readonly folder: string;
  readonly time: Date;
  /** Of the deb and the rpm; the one of nfpm.yaml unless it is given: tests are in a hurry. */
  readonly compression: string | undefined;
}

/** The file's name, as the tools of each kind of system spell it. */
function fileName({ format, arch, version, release }: NfpmOptions): string {
  return format === "deb"
    ? `peat-sidecar_${version}-${release}_${arch}.deb`
    : `peat-sidecar-${version}-${release}.${RPM_ARCH[arch]}.rpm`;
}

/** Makes the package and returns its path. Throws what nfpm said. */
export async function makePackage(options: NfpmOptions): Promise<string> {
  const { format, arch, version, release, stage, folder, time, compression } = options;
  const program = await nfpm.ensure();
  const path = join(folder, fileName(options));
  let config = await Bun.file(join(projectDir, "packaging/nfpm.yaml")).text();
  if (compression !== undefined) {
    config = config.replaceAll(/^( {2}compression:) .*$/gm, `$1 ${compression}`);
  }
  const configPath = join(folder, `.nfpm-${format}-${arch}.yaml`);
  await Bun.write(configPath, config);
  const made = Bun.spawnSync([program, "package", "-f", configPath, "-p", format, "-t", path], {
    cwd: projectDir,
    env: {
      ...Bun.env,
      STAGE: stage,
      PACKAGE_ARCH: arch,
      PACKAGE_VERSION: version,
      PACKAGE_RELEASE: release,
      SOURCE_DATE_EPOCH: String(Math.floor(time.getTime() / 1000)),
      TZ: "UTC",
    },
    stderr: "pipe",
  });
  await Bun.file(configPath).delete();
  if (!made.success) throw new Error(`nfpm failed:\n${made.stdout}${made.stderr}`.trimEnd());
  if (format === "deb" && compression === undefined) await compressDeb(path);
  return path;
}
