// Compiles src/main.ts into one executable, and knows whether the one in dist/ is still the right one.
import { chmod, mkdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { bundlePage, type PageBundle } from "../../src/dashboard/bundle.ts";
import { type Addon, findAddon, hostTarget, TARGETS, type TargetName } from "./build-targets.ts";
import { commitOfCheckout, distDir, projectDir, readPackageJson } from "./project.ts";
import { quietAddon } from "./quiet-addon.ts";

/** The executable for this machine, and its second name. */
export const executablePath = join(distDir, "peat-sidecar");
export const meshNodePath = join(distDir, "peat-mesh-node");

/** Where the addon lies beside an executable without one; NAPI_RS_NATIVE_LIBRARY_PATH names another place. */
export const ADDON_PATH = "/usr/lib/peat-sidecar/iroh.node";

export interface CompileOptions {
  readonly target: TargetName;
  /** Undefined leaves the addon out: the executable then looks for it at ADDON_PATH. */
  readonly addon: Addon | undefined;
  readonly folder: string;
}

/** Whatever variant the loader asks for, it gets the one of this target: one executable holds one addon. */
function addonPlugin(addon: Addon): Bun.BunPlugin {
  return {
    name: "iroh-addon",
    setup(build) {
      // Not for its WebAssembly fallback: a second try at the same file would hide why the first one failed.
      build.onResolve({ filter: /^@number0\/iroh-(?!wasm32)/ }, ({ path }) => ({
        path: path.endsWith("/package.json") ? addon.packageJson : addon.library,
      }));
    },
  };
}

const AUTOMERGE_GLUE = /automerge[/\\]dist[/\\]mjs[/\\].*[/\\]nodejs[/\\]automerge_wasm\.cjs$/;
const ASKED_BESIDE = /`\$\{__dirname\}\/automerge_wasm_bg\.wasm`/;

/**
 * Automerge's WebAssembly as a part of the executable. Its own code for servers reads it from the folder that it
 * lies in, and the compiler makes that the folder of the machine that builds: nobody else has it.
 */
const automergePlugin: Bun.BunPlugin = {
  name: "automerge-wasm",
  setup(build) {
    build.onLoad({ filter: AUTOMERGE_GLUE }, async ({ path }) => {
      const parts = (await Bun.file(path).text()).split(ASKED_BESIDE);
      if (parts.length !== 2) {
        throw new Error(`${path} asks for its WebAssembly in a new way; see executable.ts`);
      }
      const contents = parts.join('require("./automerge_wasm_bg.wasm")');
      return { contents, loader: "js" };
    });
  },
};

/**
 * The dashboard's page: the executable has neither its sources nor a bundler's folder to look in. It is made before,
 * for a build that waits for another one never ends (Bun 1.4.5).
 */
function dashboardPlugin(page: PageBundle): Bun.BunPlugin {
  return {
    name: "dashboard",
    setup(build) {
      build.onLoad({ filter: /src[/\\]dashboard[/\\]bundle\.ts$/ }, () => ({
        contents: `const page = ${JSON.stringify(page)}; export const bundlePage = async () => page;`,
        loader: "js",
      }));
    },
  };
}

/** A module that is started by its name; the compiler puts it below the folder that it has in common with main.ts. */
const HISTORY_WORKER = "src/store/history-worker.ts";

/** Writes `peat-sidecar` and the link `peat-mesh-node` into the folder; replaces them in one step each. */
export async function compile({ target, addon, folder }: CompileOptions): Promise<void> {
  const { version } = await readPackageJson();
  const page = await bundlePage();
  // The file's name goes into the executable: a folder of one's own keeps two builds equal byte by byte.
  const workshop = join(folder, `.build-${process.pid}`);
  const fresh = join(workshop, "peat-sidecar");
  await mkdir(workshop, { recursive: true });
  const embedded = addon === undefined ? undefined : await quietAddon(addon);
  const output = await Bun.build({
    entrypoints: ["src/main.ts", HISTORY_WORKER].map((path) => join(projectDir, path)),
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    // What a node is not asked to do is not loaded: some 8 MB of resident memory for Kubernetes and RPC.
    splitting: true,
    define: {
      PEAT_VERSION: JSON.stringify(version),
      PEAT_HISTORY_WORKER: JSON.stringify("./store/history-worker.js"),
      PEAT_COMMIT: JSON.stringify(commitOfCheckout()),
      ...(addon === undefined ? { PEAT_ADDON_PATH: JSON.stringify(ADDON_PATH) } : {}),
    },
    external: embedded === undefined ? ["@number0/iroh-*"] : [],
    plugins: [
      automergePlugin,
      dashboardPlugin(page),
      ...(embedded === undefined ? [] : [addonPlugin(embedded)]),
    ],
    loader: { ".wasm": "file" },
    compile: {
      target: TARGETS[target].runtime,
      outfile: fresh,
      // A daemon must not obey a .env, bunfig.toml or tsconfig.json that lies in its working directory.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
    throw: false,
  });
  try {
    if (!output.success) {
      throw new Error(`bun build failed:\n${output.logs.map(String).join("\n")}`);
    }
    await chmod(fresh, 0o755);
    await symlink("peat-sidecar", join(workshop, "peat-mesh-node"));
    for (const name of ["peat-sidecar", "peat-mesh-node"]) {
      await rename(join(workshop, name), join(folder, name));
    }
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

async function fingerprint(addon: Addon | undefined): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(`${Bun.version} ${Bun.revision} ${commitOfCheckout()} ${addon?.library ?? "none"}\n`);
  // One pattern each: Bun's Glob finds nothing by a brace that holds slashes.
  const paths = ["src/**/*", "scripts/support/{executable,build-targets,quiet-addon}.ts"].flatMap(
    (pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: projectDir })],
  );
  paths.push("package.json", "bun.lock");
  paths.sort(byText);
  for (const path of paths) {
    hash.update(`${path}\n`);
    hash.update(await Bun.file(join(projectDir, path)).bytes());
  }
  return hash.digest("hex");
}

/** Compiles for this machine unless dist/ already holds exactly that; says whether it had to. */
export async function ensureExecutable(addon: Addon | undefined): Promise<boolean> {
  const stamp = Bun.file(join(distDir, ".fingerprint"));
  const wanted = await fingerprint(addon);
  const isThere = (await Bun.file(executablePath).exists()) && (await stamp.exists());
  if (isThere && (await stamp.text()) === wanted) return false;
  await compile({ target: hostTarget(), addon, folder: distDir });
  await Bun.write(stamp, wanted);
  return true;
}

/** The executable of this machine, with the addon that is in it; throws an Error that says what is missing for it. */
export async function ensureHostExecutable(): Promise<Addon> {
  const addon = await findAddon(hostTarget());
  if (typeof addon === "string") throw new Error(`the executable can't be built: ${addon}`);
  await ensureExecutable(addon);
  return addon;
}
