// What is in the rpm, judged by the tool of its distributions.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { findAddon } from "../../scripts/support/build-targets.ts";
import { nfpm as nfpmProgram } from "../../scripts/support/go-program.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const nfpm = await nfpmProgram.find();
const addon = await findAddon("linux-x64");
const missing =
  ("missing" in nfpm ? nfpm.missing : typeof addon === "string" ? addon : undefined) ??
  (Bun.which("rpmlint") === null ? "needs the program rpmlint" : undefined);

let packages: TestPackages;
beforeAll(async () => {
  if (missing === undefined) packages = await makeTestPackages();
}, 10 * MINUTES);
afterAll(() => packages?.[Symbol.dispose]());

test.skipIf(missing !== undefined)(
  `the rpm satisfies rpmlint: nothing found, and every filter needed (${missing ?? "rpmlint"})`,
  async () => {
    const path = await packages.make("rpm", "1", "zstd:fastest");
    const toml = await Bun.file(join(projectDir, "packaging/rpm/rpmlint.toml")).text();
    const { Filters: filters, ...rest } = Bun.TOML.parse(toml) as { Filters: string[] };
    expect(filters.length).toBeGreaterThan(0);
    const lint = async (kept: readonly string[]) => {
      const config = join(packages.folder, "rpmlint.toml");
      const lists = Object.entries({ ...rest, Filters: kept });
      await Bun.write(
        config,
        lists.map(([key, list]) => `${key} = ${JSON.stringify(list)}\n`).join(""),
      );
      const { stdout } = Bun.spawnSync(["rpmlint", "--config", config, path], {
        stderr: "inherit",
      });
      expect(stdout.toString()).toContain("1 packages and 0 specfiles checked");
      return stdout
        .toString()
        .split("\n")
        .filter((line) => /^peat-sidecar\S*: [EW]: /.test(line));
    };
    expect(await lint(filters)).toEqual([]);
    const all = await lint([]);
    const idle = filters.filter((filter) => !all.some((line) => new RegExp(filter).test(line)));
    expect(idle).toEqual([]);
  },
  5 * MINUTES,
);
