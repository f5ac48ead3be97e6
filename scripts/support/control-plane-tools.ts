// The programs of a real Kubernetes control plane for tests, built once per machine by Go and kept in the user's cache.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { lock, testCacheFolder } from "./test-cache.ts";

export const KUBERNETES_VERSION = "1.36.3";
const HELM_VERSION = "3.19.0";
const KUBECONFORM_VERSION = "0.7.0";
/** Fifteen minutes on two cores that do nothing else. */
const BUILD_LIMIT_S = 90 * 60;

const KUBERNETES_PROGRAMS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kube-proxy",
  "kubectl",
] as const;

type Program = (typeof KUBERNETES_PROGRAMS)[number] | "helm" | "kubeconform" | "etcd";

/** Paths of the programs. */
export type ControlPlaneTools = Readonly<Record<Program, string>>;

/** Programs that come out of one build, in a folder named by their version. */
interface Bundle {
  readonly name: string;
  readonly programs: readonly Program[];
  /** Makes `bin/` in the working directory. */
  readonly build: (folder: string) => Promise<void>;
}

const BUNDLES: readonly Bundle[] = [
  {
    name: `kubernetes-${KUBERNETES_VERSION}`,
    programs: KUBERNETES_PROGRAMS,
    build: buildKubernetes,
  },
  installed("helm", HELM_VERSION, "helm.sh/helm/v3/cmd/helm"),
  installed("kubeconform", KUBECONFORM_VERSION, "github.com/yannh/kubeconform/cmd/kubeconform"),
];

function installed(program: Program, version: string, path: string): Bundle {
  return {
    name: `${program}-${version}`,
    programs: [program],
    build: async (folder) => {
      const env = { GOBIN: join(folder, "bin") };
      await go(folder, ["install", "-trimpath", `${path}@v${version}`], env);
    },
  };
}

function pathOf(bundle: Bundle, program: Program): string {
  return join(testCacheFolder(bundle.name), "bin", program);
}

async function isBuilt(bundle: Bundle): Promise<boolean> {
  const found = bundle.programs.map((program) => Bun.file(pathOf(bundle, program)).exists());
  return (await Promise.all(found)).every(Boolean);
}

/** All programs, or why they can't be used: not built yet, or no etcd on this machine. */
export async function findControlPlaneTools(): Promise<ControlPlaneTools | { missing: string }> {
  const paths: Partial<Record<Program, string>> = {};
  for (const bundle of BUNDLES) {
    if (!(await isBuilt(bundle))) {
      return { missing: `needs ${bundle.name}; make it with: bun scripts/control-plane.ts` };
    }
    for (const program of bundle.programs) paths[program] = pathOf(bundle, program);
  }
  const etcd = Bun.which("etcd");
  if (etcd === null) return { missing: "needs etcd (Debian's package etcd-server)" };
  return { ...paths, etcd } as ControlPlaneTools; // Every program is in one of the bundles.
}

/** The path of one that Go builds, or why it can't be used. */
export async function findBuiltTool(
  program: Exclude<Program, "etcd">,
): Promise<{ path: string } | { missing: string }> {
  const bundle = BUNDLES.find(({ programs }) => programs.includes(program));
  if (bundle === undefined) throw new Error(`${program} is in no bundle`);
  if (await isBuilt(bundle)) return { path: pathOf(bundle, program) };
  return { missing: `needs ${bundle.name}; make it with: bun scripts/control-plane.ts` };
}

/** Builds what is not there yet; a second process that wants it waits for the first. Throws what Go said. */
export async function ensureControlPlaneTools(): Promise<void> {
  for (const bundle of BUNDLES) {
    if (await isBuilt(bundle)) continue;
    const folder = testCacheFolder(bundle.name);
    await mkdir(folder, { recursive: true });
    await using _lock = await lock(join(folder, "lock"));
    if (await isBuilt(bundle)) continue;
    console.log(`building ${bundle.name}`);
    await bundle.build(folder);
  }
}

/**
 * Kubernetes as a dependency: its own go.mod names the libraries of its tree by the version 0.0.0
 * and a folder; outside of that tree each has the version of the release.
 */
async function buildKubernetes(folder: string): Promise<void> {
  const release = `k8s.io/kubernetes@v${KUBERNETES_VERSION}`;
  const download = JSON.parse(await go(folder, ["mod", "download", "-json", release])) as {
    GoMod: string;
  };
  const theirs = await Bun.file(download.GoMod).text();
  const staged = [...theirs.matchAll(/^\t(k8s\.io\/[a-z-]+) v0\.0\.0$/gm)].map(([, path]) => path);
  const library = `v${KUBERNETES_VERSION.replace(/^1/, "0")}`;
  const lines = [
    "module control-plane",
    theirs.match(/^go .*$/m)?.[0] ?? "",
    `require k8s.io/kubernetes v${KUBERNETES_VERSION}`,
    ...staged.map((path) => `replace ${path} => ${path} ${library}`),
  ];
  await Bun.write(join(folder, "go.mod"), `${lines.join("\n")}\n`);
  const [major, minor] = KUBERNETES_VERSION.split(".");
  const stamps = { gitVersion: `v${KUBERNETES_VERSION}`, gitMajor: major, gitMinor: minor };
  // Without the stamps they call themselves 0.0.0, which helm takes for an ancient cluster.
  const flags = ["component-base/version", "client-go/pkg/version"].flatMap((package_) =>
    Object.entries(stamps).map(([name, value]) => `-X k8s.io/${package_}.${name}=${value}`),
  );
  const packages = KUBERNETES_PROGRAMS.map((program) => `k8s.io/kubernetes/cmd/${program}`);
  const build = ["build", "-trimpath", "-ldflags", `-s -w ${flags.join(" ")}`, "-o", "made/"];
  await go(folder, [...build, ...packages], { GOFLAGS: "-mod=mod" });
  await rm(join(folder, "bin"), { recursive: true, force: true });
  await Bun.$`mv made bin`.cwd(folder);
}

/** What go printed on its standard output. */
async function go(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn(["timeout", String(BUILD_LIMIT_S), "nice", "go", ...args], {
    cwd: folder,
    // Static programs need no C compiler.
    env: { ...Bun.env, CGO_ENABLED: "0", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [printed, told] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) {
    throw new Error(
      `go ${args.slice(0, 2).join(" ")} failed:\n${told.split("\n").slice(-15).join("\n")}`,
    );
  }
  return printed;
}
