// Podman with a store of its own, in a folder that goes away: it sees no image of this machine, and leaves none.
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "../support/at-exit.ts";

export interface BuildOptions {
  readonly tag: string;
  /** Folder that the Dockerfile may copy from. */
  readonly context: string;
  readonly file?: string;
  readonly target?: string;
  readonly args?: Readonly<Record<string, string>>;
  /** Folders or images that take the place of a stage, by its name. */
  readonly contexts?: Readonly<Record<string, string>>;
  /** More of podman's own options. */
  readonly options?: readonly string[];
  /** In a network that leads nowhere. */
  readonly isOffline?: boolean;
}

/** Runs a program to its end and resolves with what it prints; throws what it says when it fails. */
export async function runProgram(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) === 0) return stdout.trimEnd();
  const tail = `${stdout}\n${stderr}`.trim().split("\n").slice(-30).join("\n");
  throw new Error(`${command.join(" ")}:\n${tail}`);
}

export class Podman implements AsyncDisposable {
  readonly folder: string;
  readonly #command: readonly string[];
  readonly #forgetFolder: () => void;

  private constructor(folder: string, command: readonly string[]) {
    this.folder = folder;
    this.#command = command;
    this.#forgetFolder = atExit(() => rmSync(folder, { recursive: true, force: true }));
  }

  static async open(): Promise<Podman> {
    // Its paths of sockets may not be long.
    const folder = await mkdtemp(join(tmpdir(), "peat-image-"));
    const runc = Bun.which("runc");
    const command = [
      "podman",
      ...["--root", join(folder, "store"), "--runroot", join(folder, "run")],
      ...["--tmpdir", join(folder, "tmp"), "--events-backend", "none"],
      ...["--cgroup-manager", "cgroupfs"],
      // crun knows no machine with both generations of control groups.
      ...(runc === null ? [] : ["--runtime", runc]),
    ];
    const drivers = ["overlay", "vfs"].map((driver) => [...command, "--storage-driver", driver]);
    for (const withDriver of drivers) {
      await mkdir(join(folder, "tmp"), { recursive: true });
      const probe = Bun.spawnSync([...withDriver, "images"], { stdin: "ignore", stderr: "ignore" });
      if (probe.success) return new Podman(folder, withDriver);
      await rm(folder, { recursive: true });
    }
    throw new Error("podman can't keep images here, neither as overlay nor as copies");
  }

  /** The command line of podman with these arguments. */
  command(args: readonly string[]): string[] {
    return [...this.#command, ...args];
  }

  /** Runs podman to its end and resolves with what it prints; throws what it says when it fails. */
  run(...args: readonly string[]): Promise<string> {
    return runProgram(...this.command(args));
  }

  async import(archive: string, tag: string): Promise<void> {
    await this.run("import", "--quiet", archive, tag);
  }

  async build(options: BuildOptions): Promise<void> {
    const pairs = (flag: string, values: Readonly<Record<string, string>> = {}) =>
      Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
    const offline = options.isOffline === true ? ["unshare", "--net"] : [];
    await runProgram(
      ...offline,
      ...this.command(["build"]),
      // Docker's own format: the other one has no HEALTHCHECK.
      ...["--isolation=chroot", "--format=docker", "--tag", options.tag],
      ...(options.file === undefined ? [] : ["--file", options.file]),
      ...(options.target === undefined ? [] : ["--target", options.target]),
      ...pairs("--build-arg", options.args),
      ...pairs("--build-context", options.contexts),
      ...(options.options ?? []),
      options.context,
    );
  }

  /** What podman tells of an image or a container, by a Go template. */
  async inspect(name: string, format: string): Promise<string> {
    return await this.run("inspect", "--format", format, name);
  }

  /** Ends all containers, and forgets everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.run("rm", "--all", "--force", "--time", "0").catch(() => undefined);
    await this.run("image", "umount", "--all", "--force").catch(() => undefined);
    await rm(this.folder, { recursive: true, force: true });
    this.#forgetFolder();
  }
}
