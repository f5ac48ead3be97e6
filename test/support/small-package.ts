// Packages of a few files that a test needs beside ours: what a distribution brings, or another program.
import { join } from "node:path";
import type { Format } from "../../scripts/package/nfpm-package.ts";
import { nfpm } from "../../scripts/support/go-program.ts";

/** Makes one from the fields of nfpm's configuration; returns its path in `folder`. Throws what nfpm said. */
export async function makeSmallPackage(
  format: Format,
  folder: string,
  config: Readonly<Record<string, unknown>> & { readonly name: string },
): Promise<string> {
  const program = await nfpm.ensure();
  const path = join(folder, `${config.name}.${format}`);
  const configPath = join(folder, `.${config.name}.${format}.json`);
  const common = {
    arch: "amd64",
    platform: "linux",
    maintainer: "Nobody <nobody@example.org>",
    description: "made by a test",
    license: "Apache-2.0",
  };
  // JSON is YAML too.
  await Bun.write(configPath, JSON.stringify({ ...common, ...config }));
  const command = [program, "package", "-f", configPath, "-p", format, "-t", path];
  const made = Bun.spawnSync(command, { stderr: "pipe" });
  if (!made.success) throw new Error(`nfpm failed:\n${made.stdout}${made.stderr}`.trimEnd());
  return path;
}
