// nfpm, which makes the deb and the rpm: the one of the Go module proxy, built once per machine and kept in the user's
// cache.
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Later ones need modules that the proxy does not serve. */
const VERSION = "2.45.0";
const MODULE = `github.com/goreleaser/nfpm/v2/cmd/nfpm@v${VERSION}`;
const BUILD_LIMIT_S = 15 * 60;

function cacheFolder(): string {
  const base = Bun.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(base, "peat-sidecar-tests", `nfpm-${VERSION}`);
}

/** The program's path, or why there is none. */
async function findNfpm(): Promise<{ path: string } | { missing: string }> {
  const path = join(cacheFolder(), "nfpm");
  if (await Bun.file(path).exists()) return { path };
  return { missing: `needs nfpm ${VERSION}; make it with: bun scripts/nfpm.ts` };
}

/** Builds it unless it is there; a second process that wants it waits for the first. Throws what go said. */
export async function ensureNfpm(): Promise<string> {
  const found = await findNfpm();
  if ("path" in found) return found.path;
  if (Bun.which("go") === null) throw new Error(`${found.missing} (needs Go)`);
  const folder = cacheFolder();
  await mkdir(folder, { recursive: true });
  const install = `test -x nfpm || go install ${MODULE}`;
  const build = Bun.spawn(
    ["flock", "lock", "timeout", String(BUILD_LIMIT_S), "sh", "-c", install],
    {
      cwd: folder,
      env: { ...Bun.env, GOBIN: folder, CGO_ENABLED: "0" },
      stdin: "ignore",
      stdout: "inherit",
      stderr: "pipe",
    },
  );
  const told = await new Response(build.stderr).text();
  if ((await build.exited) !== 0) {
    throw new Error(`nfpm was not built:\n${told.split("\n").slice(-15).join("\n")}`);
  }
  return join(folder, "nfpm");
}
