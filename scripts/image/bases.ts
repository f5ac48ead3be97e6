// Stand-ins for the images that the Dockerfile starts from, made of Debian's packages, for machines without a
// registry of images. One run of mmdebstrap gives both; they are kept in the user's cache.
//
//   debian.tar  a small Debian with a shell, apt and curl: DEBIAN_IMAGE, and with Bun in it BUN_IMAGE
//   cc.tar      what distroless/cc has, file by file from the same packages: RUNTIME_IMAGE
import { lstatSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lock, testCacheFolder } from "../support/test-cache.ts";
import { runProgram } from "./podman.ts";

/** The release that the Dockerfile's own images are of. */
const RELEASE = "bookworm";
/** Raised when what is made below changes. */
const EDITION = 1;
const FOLDER = testCacheFolder(`image-bases-${RELEASE}-${EDITION}`);
const MAKE_LIMIT_S = 30 * 60;

/** Of distroless/cc. ca-certificates is not among them: only the one file that it makes is. */
const RUNTIME_PACKAGES = [
  ...["base-files", "netbase", "tzdata"],
  ...["libc6", "libssl3", "gcc-12-base", "libgcc-s1", "libgomp1", "libstdc++6"],
];
/** What these packages have besides, and an image has no use for. */
const LEFT_OUT = /^usr\/share\/(?:man|info|lintian|locale|doc\/.*(?<!\/copyright)$)/;
const CERTIFICATES = "etc/ssl/certs/ca-certificates.crt";
const NONROOT = 65532;

export interface Bases {
  readonly debian: string;
  readonly cc: string;
}

const BASES: Bases = { debian: join(FOLDER, "debian.tar"), cc: join(FOLDER, "cc.tar") };

/** Where they lie, or why not: not made yet. */
export async function findBases(): Promise<Bases | { missing: string }> {
  if (await Bun.file(BASES.cc).exists()) return BASES;
  return { missing: "needs images to build on; make them with: bun scripts/image.ts --bases" };
}

/** Makes what is not there yet; a second process that wants it waits for the first. Needs root and mmdebstrap. */
export async function ensureBases(): Promise<Bases> {
  await mkdir(FOLDER, { recursive: true });
  await using _lock = await lock(join(FOLDER, "lock"));
  if (!("missing" in (await findBases()))) return BASES;
  const workshop = await mkdtemp(join(FOLDER, "making-"));
  try {
    const fresh = join(workshop, "debian.tar");
    const include = ["ca-certificates", "curl", ...RUNTIME_PACKAGES].join(",");
    const bootstrap = ["mmdebstrap", "--variant=minbase", `--include=${include}`, RELEASE, fresh];
    await runProgram("timeout", String(MAKE_LIMIT_S), ...bootstrap);
    await makeRuntime(fresh, workshop);
    await rename(fresh, BASES.debian);
    // The last one to appear: it stands for both.
    await rename(join(workshop, "cc.tar"), BASES.cc);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
  return BASES;
}

async function makeRuntime(debian: string, workshop: string): Promise<void> {
  const whole = join(workshop, "debian");
  const root = join(workshop, "cc");
  for (const folder of [whole, root]) await mkdir(folder);
  await runProgram("tar", "-xf", debian, "-C", whole, "--exclude=./dev/*");
  const list = join(workshop, "files");
  await writeFile(list, (await filesOf(whole)).map((path) => `${path}\n`).join(""));
  const parts = join(workshop, "parts.tar");
  await runProgram(
    "tar",
    "-cf",
    parts,
    "-C",
    whole,
    "--no-recursion",
    "--verbatim-files-from",
    "-T",
    list,
  );
  await runProgram("tar", "-xf", parts, "-C", root);
  await addUsersAndFolders(root);
  await runProgram(
    "tar",
    "--sort=name",
    "--numeric-owner",
    "-cf",
    join(workshop, "cc.tar"),
    "-C",
    root,
    ".",
  );
}

/** Paths, without the first slash, as they lie in a Debian whose /lib is a link to /usr/lib. */
async function filesOf(whole: string): Promise<string[]> {
  const paths = new Set(["bin", "sbin", "lib", "lib64", "etc/nsswitch.conf", CERTIFICATES]);
  for (const name of RUNTIME_PACKAGES) {
    const lists = [...new Bun.Glob(`${name}{,:*}.list`).scanSync(join(whole, "var/lib/dpkg/info"))];
    if (lists.length !== 1) throw new Error(`${name} is not installed`);
    const text = await Bun.file(join(whole, "var/lib/dpkg/info", lists[0] ?? "")).text();
    for (const line of text.split("\n")) {
      const path = line.replace(/^\//, "").replace(/^(?:bin|sbin|lib|lib64)\//, "usr/$&");
      if (path !== "" && path !== "." && !LEFT_OUT.test(path)) paths.add(path);
    }
  }
  return [...paths].filter((path) => lstatSync(join(whole, path), { throwIfNoEntry: false }));
}

async function addUsersAndFolders(root: string): Promise<void> {
  const users = [`root:x:0:0:root:/root`, `nonroot:x:${NONROOT}:${NONROOT}:nonroot:/home/nonroot`];
  await writeFile(
    join(root, "etc/passwd"),
    users.map((user) => `${user}:/sbin/nologin\n`).join(""),
  );
  await writeFile(join(root, "etc/group"), `root:x:0:\nnonroot:x:${NONROOT}:\n`);
  for (const folder of ["dev", "home/nonroot", "proc", "root", "run", "sys", "tmp"]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await chmod(join(root, "tmp"), 0o1777);
  await chown(join(root, "home/nonroot"), NONROOT, NONROOT);
  await chmod(join(root, "home/nonroot"), 0o700);
}
