// The packages of this tree, made quickly: files as published, little compressed, in two releases of one version.

import { type Format, makePackage } from "../../scripts/package/nfpm-package.ts";
import { packageVersion, stage } from "../../scripts/package/stage.ts";
import { findAddon } from "../../scripts/support/build-targets.ts";
import { type TempFolder, tempFolder } from "./temp-folder.ts";

export interface TestPackages extends Disposable {
  readonly folder: string;
  /** What they are made of, laid out. */
  readonly stage: string;
  /** Path of a deb; release 2 is the newer one. */
  deb(release: 1 | 2): string;
  /** Compressed as what is published, unless told otherwise. */
  make(format: Format, release: string, compression?: string): Promise<string>;
}

/** For this machine, which is an amd64. Throws when the addon is missing. */
export async function makeTestPackages(): Promise<TestPackages> {
  const addon = await findAddon("linux-x64");
  if (typeof addon === "string") throw new Error(addon);
  const folder: TempFolder = tempFolder();
  const time = new Date(1_750_000_000_000);
  const { version } = await packageVersion();
  const staged = folder.file("stage");
  await stage({ target: "linux-x64", addon, folder: staged, version: `${version}-1`, time });
  const make = (format: Format, release: string, compression?: string) =>
    makePackage({
      format,
      arch: "amd64",
      version,
      release,
      stage: staged,
      folder: folder.path,
      time,
      compression,
    });
  const debs = {
    1: await make("deb", "1", "zstd:fastest"),
    2: await make("deb", "2", "zstd:fastest"),
  };
  return {
    folder: folder.path,
    stage: staged,
    deb: (release) => debs[release],
    make,
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}
