// The executable for arm64, started on this machine by an emulator of that processor.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../../scripts/support/executable.ts";
import { tempFolder } from "../support/temp-folder.ts";
import vectors from "../vectors/identity.json" with { type: "json" };

const MINUTES = 60_000;
/** C library and loader of that machine, of Debian's package libc6-arm64-cross. */
const LIBRARIES = "/usr/aarch64-linux-gnu";
const emulator = Bun.which("qemu-aarch64-static");
const missing =
  emulator === null
    ? "needs the program qemu-aarch64-static"
    : existsSync(join(LIBRARIES, "lib/ld-linux-aarch64.so.1"))
      ? undefined
      : "needs the package libc6-arm64-cross";

test.skipIf(missing !== undefined)(
  `an executable for arm64 starts there, and derives the ids that others derive (${missing ?? "qemu"})`,
  async () => {
    using folder = tempFolder();
    // The addon was not published for it; neither command loads one.
    await compile({ target: "linux-arm64", addon: undefined, folder: folder.path });
    const run = (name: string, ...args: readonly string[]) => {
      const command = [emulator ?? "", "-L", LIBRARIES, folder.file(name), ...args];
      const env = { PATH: Bun.env["PATH"] ?? "", PEAT_FORMATION_SECRET: vectors.secrets.A };
      const done = Bun.spawnSync(command, { env, stderr: "pipe" });
      return { code: done.exitCode, text: `${done.stdout}${done.stderr}` };
    };
    expect(run("peat-sidecar", "--version")).toEqual({
      code: 0,
      text: expect.stringMatching(/^peat-sidecar \d+\.\d+\.\d+ /),
    });
    const node = vectors.nodes.find(({ secret }) => secret === "A");
    expect(run("peat-mesh-node", "derive-id", "--name", node?.name ?? "")).toEqual({
      code: 0,
      text: `${node?.endpointId}\n`,
    });
    // The store opens; then it says what is missing.
    const daemon = run(
      "peat-mesh-node",
      "run",
      "--discovery",
      "none",
      "--data-dir",
      folder.file("d"),
    );
    console.log(daemon.code, daemon.text);
  },
  10 * MINUTES,
);
