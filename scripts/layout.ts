// bun scripts/layout.ts DIR: the files as an image or a package has them, laid out in an empty folder.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { findAddon, hostTarget, type TargetName } from "./support/build-targets.ts";
import { layOut } from "./support/layout.ts";

const USAGE = `usage: bun scripts/layout.ts [--arch amd64|arm64] [--addon FILE] DIR

DIR is made, or must be empty. Without --arch for this machine.
--addon is the library of the QUIC addon where none was published for that machine.`;

/** By the names that images and Debian packages use. */
const TARGET_OF_ARCH: Readonly<Record<string, TargetName>> = {
  amd64: "linux-x64",
  arm64: "linux-arm64",
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      arch: { type: "string" },
      addon: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
    allowPositionals: true,
  });
  const [folder] = positionals;
  const target = values.arch === undefined ? hostTarget() : TARGET_OF_ARCH[values.arch];
  if (values.help || folder === undefined || positionals.length > 1 || target === undefined) {
    (values.help ? console.log : console.error)(USAGE);
    return values.help ? 0 : 64;
  }
  const addon = values.addon === undefined ? await findAddon(target) : { library: values.addon };
  if (typeof addon === "string") {
    console.error(`no files for ${target}: ${addon}. One built elsewhere can be given by --addon.`);
    return 1;
  }
  await layOut({ target, library: resolve(addon.library), folder: resolve(folder) });
  return 0;
}

process.exitCode = await main();
