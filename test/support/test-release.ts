// A release as `bun run package --sign-key` makes one, of packages for tests: files, checksums, signatures, installer.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { copyFileSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { makeSystemArchive } from "../../scripts/package/archive.ts";
import { writeChecksums } from "../../scripts/package/checksums.ts";
import { writeInstaller } from "../../scripts/package/installer.ts";
import type { TestPackages } from "./test-packages.ts";

export const newReleaseKey = (): KeyObject => generateKeyPairSync("ed25519").privateKey;

interface TestReleaseOptions {
  readonly key: KeyObject;
  /** Made, and filled. */
  readonly folder: string;
  /** Packages and archives. */
  readonly files: readonly string[];
}

const TIME = new Date(1_750_000_000_000);

/** The archive that install.sh puts in place where there are no packages; returns its path. */
export function makeTestArchive(packages: TestPackages, version: string): Promise<string> {
  const { stage, folder } = packages;
  return makeSystemArchive({ target: "linux-x64", stage, version, folder, time: TIME, level: 1 });
}

/** Lays a release out. */
export async function makeTestRelease(options: TestReleaseOptions): Promise<void> {
  const { key, folder, files } = options;
  mkdirSync(folder, { recursive: true });
  const paths = files.map((file) => join(folder, basename(file)));
  for (const [index, file] of files.entries()) copyFileSync(file, paths[index] ?? "");
  paths.push(await writeInstaller(folder, key));
  await writeChecksums({ paths, folder, key, time: TIME });
}
