// Where things lie in the project, for scripts and tests.
import { join, resolve } from "node:path";

/** The project's root folder. */
export const projectDir = resolve(import.meta.dirname, "../..");
export const distDir = join(projectDir, "dist");

/** Commit of the checkout, or what SOURCE_COMMIT says where there is only its source, or `unknown`. */
export function commitOfCheckout(): string {
  const told = Bun.env["SOURCE_COMMIT"] ?? "";
  if (told !== "") return told.slice(0, 12);
  const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], {
    cwd: projectDir,
    stderr: "ignore",
  });
  return git.success ? git.stdout.toString().trim() : "unknown";
}

interface PackageJson {
  readonly scripts: Readonly<Record<string, string>>;
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export async function readPackageJson(): Promise<PackageJson> {
  return await Bun.file(join(projectDir, "package.json")).json();
}
