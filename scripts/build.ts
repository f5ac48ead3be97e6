// bun run build: dist/peat-sidecar for this machine, or dist/<target>/peat-sidecar for others.
import { stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import {
  findAddon,
  hostTarget,
  isTargetName,
  TARGET_NAMES,
  type TargetName,
} from "./support/build-targets.ts";
import { compile, ensureExecutable, executablePath } from "./support/executable.ts";
import { distDir, projectDir } from "./support/project.ts";

const USAGE = `usage: bun run build [--target ${TARGET_NAMES.join("|")}|all] [--external-addon]

Without --target: dist/peat-sidecar and the link dist/peat-mesh-node, for this machine, and the client
of the broker, dist/client.js.
With --target: the same two in dist/<target>/.
--external-addon leaves the QUIC addon out; it is then /usr/lib/peat-sidecar/iroh.node, or what
NAPI_RS_NATIVE_LIBRARY_PATH names.`;

async function report(path: string, startedMs: number, note: string): Promise<void> {
  const megabytes = ((await stat(path)).size / 1e6).toFixed(1);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${relative(projectDir, path)}  ${megabytes} MB  ${seconds} s  ${note}`);
}

/** Undefined when built, else what is missing, in words. */
async function buildFor(target: TargetName, isAddonLeftOut: boolean): Promise<string | undefined> {
  const startedMs = performance.now();
  const addon = isAddonLeftOut ? undefined : await findAddon(target);
  if (typeof addon === "string") return addon;
  const folder = join(distDir, target);
  await compile({ target, addon, folder });
  await report(join(folder, "peat-sidecar"), startedMs, isAddonLeftOut ? "without addon" : "built");
  return undefined;
}

async function buildForHost(isAddonLeftOut: boolean): Promise<string | undefined> {
  const startedMs = performance.now();
  const addon = isAddonLeftOut ? undefined : await findAddon(hostTarget());
  if (typeof addon === "string") return addon;
  const isNew = await ensureExecutable(addon);
  await report(executablePath, startedMs, isNew ? "built" : "up to date");
  return undefined;
}

/** One module for browsers and every runtime: it imports nothing. */
async function buildClient(): Promise<void> {
  const startedMs = performance.now();
  const entrypoints = [join(projectDir, "src/client/client.ts")];
  await Bun.build({ entrypoints, outdir: distDir, target: "browser", format: "esm" });
  await report(join(distDir, "client.js"), startedMs, "built");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      target: { type: "string" },
      "external-addon": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const isAddonLeftOut = values["external-addon"];
  if (values.target === undefined) {
    const missing = await buildForHost(isAddonLeftOut);
    if (missing !== undefined) console.error(`not built: ${missing}`);
    await buildClient();
    return missing === undefined ? 0 : 1;
  }
  if (values.target !== "all" && !isTargetName(values.target)) {
    console.error(USAGE);
    return 64;
  }
  const targets = values.target === "all" ? TARGET_NAMES : [values.target];
  let built = 0;
  for (const target of targets) {
    const missing = await buildFor(target, isAddonLeftOut);
    if (missing === undefined) built += 1;
    else {
      console.error(`dist/${target} not built: ${missing}.`);
      console.error(
        "  With --external-addon it is built without the addon, to be given one later.",
      );
    }
  }
  // "all" means all that can be built; one that was asked for by name and is missing is a failure.
  return built === targets.length || (values.target === "all" && built > 0) ? 0 : 1;
}

process.exitCode = await main();
