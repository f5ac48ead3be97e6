// The project's image, built from the stand-ins of bases.ts instead of a registry's images.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commitOfCheckout, projectDir } from "../support/project.ts";
import type { Bases } from "./bases.ts";
import type { Podman } from "./podman.ts";

const DEBIAN = "localhost/debian:slim";
const BUN = "localhost/bun:slim";
export const RUNTIME = "localhost/cc:nonroot";

/** Arguments that make the Dockerfile start from what `importBases` has imported. */
const BASE_ARGS = {
  DEBIAN_IMAGE: DEBIAN,
  BUN_IMAGE: BUN,
  RUNTIME_IMAGE: RUNTIME,
} as const;

export type ImageTarget = "image" | "debug";

/** The Bun in BUN_IMAGE is the one that runs this. */
export async function importBases(podman: Podman, { debian, cc }: Bases): Promise<void> {
  await podman.import(debian, DEBIAN);
  await podman.import(cc, RUNTIME);
  const context = join(podman.folder, "bun");
  await mkdir(context);
  await copyFile(process.execPath, join(context, "bun"));
  await writeFile(
    join(context, "Dockerfile"),
    `FROM ${DEBIAN}\nCOPY --chmod=755 bun /usr/local/bin/bun\n`,
  );
  await podman.build({ tag: BUN, context });
}

/** Builds as a user would, the compiler included; it asks the registry of npm packages for what bun.lock names. */
export async function buildImage(podman: Podman, target: ImageTarget, tag: string): Promise<void> {
  const certificates = Bun.env["NODE_EXTRA_CA_CERTS"] ?? "";
  const secret = `id=ca-certificates,src=${certificates}`;
  await podman.build({
    tag,
    context: projectDir,
    target,
    args: { ...BASE_ARGS, COMMIT: commitOfCheckout() },
    options: certificates === "" ? [] : ["--secret", secret],
  });
}

/** Builds from files that lie there already (see layout.ts), without any network. */
export async function buildFromFiles(podman: Podman, files: string, tag: string): Promise<void> {
  await podman.build({
    tag,
    context: projectDir,
    target: "image",
    args: { ...BASE_ARGS, COMMIT: commitOfCheckout() },
    contexts: { files },
    isOffline: true,
  });
}
