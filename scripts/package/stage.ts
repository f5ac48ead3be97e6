// All files of the packages, laid out as they lie on a machine: the executable and its addon, and the texts that are
// printed from the program's own tables.
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { COMMANDS } from "../../src/cli/commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../src/cli/completions.ts";
import { commandsPage, daemonPage, settingsPage } from "../../src/cli/manual.ts";
import { renderConfigFile, renderEnvironmentFile } from "../../src/config/render.ts";
import type { Addon, TargetName } from "../support/build-targets.ts";
import { layOut } from "../support/layout.ts";
import { projectDir, readPackageJson } from "../support/project.ts";

const MAINTAINER = "The peat-sidecar maintainers <peat-sidecar@users.noreply.github.com>";

/** Debian's changelog of the package itself; what changed in the program stands in the other one. */
function debianChangelog(version: string, time: Date): string {
  const date = time
    .toUTCString()
    .replace(/GMT$/, "+0000")
    .replace(/^(\w+, )0/, "$1 ");
  return [
    `peat-sidecar (${version}) stable; urgency=medium`,
    "",
    "  * See changelog.gz for what is new.",
    "",
    ` -- ${MAINTAINER}  ${date}`,
    "",
  ].join("\n");
}

/** As `gzip -9n`: neither name nor time are in it. */
function gzip(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

export interface StageOptions {
  readonly target: TargetName;
  readonly addon: Addon;
  /** Emptied first. */
  readonly folder: string;
  /** Version and release, as in the package's name. */
  readonly version: string;
  /** Of the sources; nothing depends on when or where the packages are made. */
  readonly time: Date;
}

/** Lays the folder out. */
export async function stage(options: StageOptions): Promise<void> {
  const { target, addon, folder, version, time } = options;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await layOut({ target, library: addon.library, folder });
  const changelog = await Bun.file(join(projectDir, "CHANGELOG.md")).text();
  const texts: Readonly<Record<string, string | Uint8Array>> = {
    "etc/default/peat-sidecar": renderEnvironmentFile(),
    "etc/peat-sidecar/config.yaml": renderConfigFile(),
    "usr/share/man/man1/peat-sidecar.1.gz": gzip(commandsPage(COMMANDS)),
    "usr/share/man/man5/peat-sidecar.5.gz": gzip(settingsPage()),
    "usr/share/man/man8/peat-sidecar.8.gz": gzip(daemonPage()),
    "usr/share/bash-completion/completions/peat-sidecar": bashCompletion(COMMANDS),
    "usr/share/fish/vendor_completions.d/peat-sidecar.fish": fishCompletion(COMMANDS),
    "usr/share/zsh/_peat-sidecar": zshCompletion(COMMANDS),
    "usr/share/doc/peat-sidecar/changelog.gz": gzip(changelog),
    "usr/share/doc/peat-sidecar/changelog.Debian.gz": gzip(debianChangelog(version, time)),
  };
  for (const [path, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await Bun.write(join(folder, path), text);
  }
}

/** Version of the program, and the release that its packages have unless told otherwise. */
export async function packageVersion(): Promise<{ version: string; release: string }> {
  return { version: (await readPackageJson()).version, release: "1" };
}
