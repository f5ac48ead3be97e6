// Python with grpcio, for tests with a client of another school: installed from PyPI once per machine and kept in the
// user's cache.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { testCacheFolder } from "./test-cache.ts";

/** Exactly these, with all that they need. */
const PACKAGES = [
  "grpcio==1.85.1",
  "grpcio-health-checking==1.85.1",
  "grpcio-tools==1.85.1",
  "protobuf==7.36.2",
  "setuptools==84.2.1",
  "typing_extensions==4.16.0",
];
const INSTALL_LIMIT_S = 10 * 60;

const FOLDER = testCacheFolder("python-grpc-1.85.1");

/** The interpreter's path, or why there is none. */
export async function findPythonGrpc(): Promise<{ path: string } | { missing: string }> {
  const path = join(FOLDER, "venv", "bin", "python");
  if (await Bun.file(join(FOLDER, "complete")).exists()) return { path };
  return { missing: "needs Python's grpcio 1.85.1; install it with: bun scripts/python-grpc.ts" };
}

/** Installs it unless it is there; a second process that wants it waits for the first. Throws what pip said. */
export async function ensurePythonGrpc(): Promise<string> {
  const found = await findPythonGrpc();
  if ("path" in found) return found.path;
  await mkdir(FOLDER, { recursive: true });
  const install = [
    "set -e",
    "test ! -e complete || exit 0",
    "rm -rf venv",
    "python3 -m venv venv",
    `venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: ${PACKAGES.join(" ")}`,
    "touch complete",
  ].join("\n");
  const child = Bun.spawn(
    ["flock", "lock", "timeout", String(INSTALL_LIMIT_S), "sh", "-c", install],
    { cwd: FOLDER, stdin: "ignore", stdout: "inherit", stderr: "pipe" },
  );
  const told = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) {
    throw new Error(`grpcio was not installed:\n${told.split("\n").slice(-15).join("\n")}`);
  }
  return join(FOLDER, "venv", "bin", "python");
}
