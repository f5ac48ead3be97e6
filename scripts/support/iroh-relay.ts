// A real Iroh relay for tests: the one of crates.io, built once per machine and kept in the user's cache.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { testCacheFolder } from "./test-cache.ts";

const VERSION = "1.1.0";
/** Three minutes on two cores that do nothing else. */
const BUILD_LIMIT_S = 30 * 60;

const FOLDER = testCacheFolder(`iroh-relay-${VERSION}`);

/** The program's path, or why there is none: not built yet, or not to be built here. */
export async function findIrohRelay(): Promise<{ path: string } | { missing: string }> {
  const path = join(FOLDER, "bin", "iroh-relay");
  if (await Bun.file(path).exists()) return { path };
  return { missing: `needs iroh-relay ${VERSION}; make it with: bun scripts/iroh-relay.ts` };
}

/** Builds it unless it is there; a second process that wants it waits for the first. Throws what cargo said. */
export async function ensureIrohRelay(): Promise<string> {
  const found = await findIrohRelay();
  if ("path" in found) return found.path;
  await mkdir(FOLDER, { recursive: true });
  const install = `test -x bin/iroh-relay || cargo install iroh-relay --version ${VERSION} --locked --features server --root .`;
  const locked = ["flock", "lock", "timeout", String(BUILD_LIMIT_S), "sh", "-c", install];
  const build = Bun.spawn(locked, {
    cwd: FOLDER,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
  });
  const told = await new Response(build.stderr).text();
  if ((await build.exited) !== 0) {
    throw new Error(`iroh-relay was not built:\n${told.split("\n").slice(-15).join("\n")}`);
  }
  return join(FOLDER, "bin", "iroh-relay");
}
