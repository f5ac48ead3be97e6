// One run of a container: a process with namespaces, root file system and limits of its own, the first in its pid namespace.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../../scripts/support/waiting.ts";
import type { Cgroup } from "./cgroup.ts";
import type { ContainerLog } from "./container-log.ts";

const START_LIMIT_MS = 20_000;
/** The exit status that stands for SIGKILL. */
const KILLED = 137;
/** A capability that is kept only until the root is changed and the user is given up. */
const STARTING_CAPABILITIES = "+sys_chroot,+setuid,+setgid";
/** Where Debian and its images keep the C library and its neighbours. */
const LIBRARIES = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
const CONTAINER_PATH = /^\/[A-Za-z0-9._/-]*$/;

/** What a container image would bring along, made of files of this machine. */
export interface Image {
  readonly entrypoint: readonly string[];
  readonly user: number;
  readonly env: Readonly<Record<string, string>>;
  /** Files of this machine by their paths in the image, beside the C library and certificates. */
  readonly files: Readonly<Record<string, string>>;
}

export interface ContainerMount {
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

export interface ContainerSpec {
  readonly image: Image;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly user: number;
  readonly group: number;
  readonly groups: readonly number[];
  readonly isRootReadOnly: boolean;
  readonly mounts: readonly ContainerMount[];
  readonly networkNamespace: string;
  readonly hostsFile: string;
  /** A folder of its own for the files of the start. */
  readonly folder: string;
}

export interface ContainerEnd {
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly output: string;
}

/** Words of a shell command line. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Joins groups, then becomes the rest of its arguments; $1 is the number of groups. */
const JOIN_GROUPS =
  'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1"; shift; n=$((n-1)); done; exec "$@"';

function inCgroup(cgroup: Cgroup, command: readonly string[]): string[] {
  const { doors } = cgroup;
  return ["sh", "-c", JOIN_GROUPS, "sh", String(doors.length), ...doors, ...command];
}

/** The script that makes the root file system inside of fresh namespaces and becomes the program. */
function setupScript(spec: ContainerSpec): string {
  const root = join(spec.folder, "root");
  const inRoot = (path: string): string => {
    if (!CONTAINER_PATH.test(path)) throw new Error(`not a path of a container: ${path}`);
    return quote(join(root, path));
  };
  const bindFile = (source: string, target: string): string[] => [
    `mkdir -p "$(dirname ${inRoot(target)})"; : > ${inRoot(target)}`,
    `mount --bind ${quote(source)} ${inRoot(target)}`,
  ];
  const bindFolder = (source: string, target: string, isReadOnly: boolean): string[] => [
    `mkdir -p ${inRoot(target)}`,
    `mount --bind ${quote(source)} ${inRoot(target)}`,
    ...(isReadOnly ? [`mount -o remount,bind,ro ${inRoot(target)}`] : []),
  ];
  const mounts = [...spec.mounts].sort((a, b) => a.target.length - b.target.length);
  const ids = [`--userspec=${spec.user}:${spec.group}`, `--groups=${spec.groups.join(",")}`];
  return [
    // The starter's own complaints go elsewhere; from here on it is the container that speaks.
    "exec 2>&3 3>&-",
    "set -eu",
    `hostname ${quote(spec.hostname)}`,
    "mount --make-rprivate /",
    `mkdir -p ${quote(root)}`,
    `mount -t tmpfs -o mode=755 tmpfs ${quote(root)}`,
    `cd ${quote(root)}; mkdir -m 1777 tmp; mkdir proc dev etc usr; ln -s usr/lib usr/lib64 .`,
    ...[LIBRARIES, "/usr/lib64"].flatMap((path) => bindFolder(path, path, true)),
    ...bindFolder("/etc/ssl", "/etc/ssl", true),
    "mount -t proc proc proc; mkdir dev/shm; mount -t tmpfs -o mode=1777 tmpfs dev/shm",
    ...["null", "zero", "full", "random", "urandom"].flatMap((name) =>
      bindFile(`/dev/${name}`, `/dev/${name}`),
    ),
    `echo 'nonroot:x:${spec.user}:${spec.group}::/:' > etc/passwd`,
    ...bindFile(spec.hostsFile, "/etc/hosts"),
    ...Object.entries(spec.image.files).flatMap(([target, source]) => bindFile(source, target)),
    ...mounts.flatMap(({ source, target, isReadOnly }) => bindFolder(source, target, isReadOnly)),
    ...(spec.isRootReadOnly ? [`mount -o remount,ro ${quote(root)}`] : []),
    `exec setpriv --no-new-privs --bounding-set=-all,${STARTING_CAPABILITIES} \\`,
    `  chroot ${ids.join(" ")} ${quote(root)} ${spec.command.map(quote).join(" ")}`,
  ].join("\n");
}

export class ContainerProcess {
  readonly spec: ContainerSpec;
  readonly startedAt = new Date().toISOString();
  readonly end: Promise<ContainerEnd>;
  readonly #cgroup: Cgroup;
  readonly #starter: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #pid: number | undefined;
  #isKilled = false;

  private constructor(spec: ContainerSpec, cgroup: Cgroup, log: ContainerLog) {
    this.spec = spec;
    this.#cgroup = cgroup;
    const script = join(spec.folder, "setup.sh");
    writeFileSync(script, setupScript(spec));
    const killsBefore = cgroup.outOfMemoryKills();
    const own = ["--mount", "--pid", "--uts", "--ipc", "--fork"];
    const entered = ["nsenter", `--net=/run/netns/${spec.networkNamespace}`, "unshare", ...own];
    const starterLog = quote(join(spec.folder, "starter.log"));
    const parting = `exec 3>&2 2>>${starterLog}; exec "$@"`;
    const command = ["sh", "-c", parting, "sh", ...entered, "sh", script];
    this.#starter = Bun.spawn(inCgroup(cgroup, command), {
      env: { ...spec.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = [
      log.take("stdout", this.#starter.stdout),
      log.take("stderr", this.#starter.stderr),
    ];
    this.end = this.#starter.exited.then(async (exitCode) => {
      await Promise.all(output);
      const isOutOfMemory = cgroup.outOfMemoryKills() > killsBefore;
      // Some versions of unshare fail, with 1, at passing on by which signal their child was ended.
      return { exitCode: isOutOfMemory || this.#isKilled ? KILLED : exitCode, isOutOfMemory };
    });
  }

  /** Resolves when its first process has its id, which it keeps. */
  static async start(
    spec: ContainerSpec,
    cgroup: Cgroup,
    log: ContainerLog,
  ): Promise<ContainerProcess> {
    const container = new ContainerProcess(spec, cgroup, log);
    const { pid } = container.#starter;
    container.#pid = await waitFor("the container's process", START_LIMIT_MS, () => {
      if (container.#starter.exitCode !== null) return 0;
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
      return children === "" ? undefined : Number(children.split(" ")[0]);
    });
    return container;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#starter.exitCode !== null || !this.#pid) return;
    if (signal === "SIGKILL") this.#isKilled = true;
    try {
      process.kill(this.#pid, signal);
    } catch {
      // It has just ended by itself, which `end` tells.
    }
  }

  /** The command line of a process beside the container's own: same namespaces, user, limits. */
  execCommand(command: readonly string[]): string[] {
    const { user, group } = this.spec;
    const spaces = ["-t", String(this.#pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w"];
    const ids = ["-S", String(user), "-G", String(group)];
    const entered = ["setpriv", "--no-new-privs", "nsenter", ...spaces, ...ids, ...command];
    return inCgroup(this.#cgroup, entered);
  }

  /** Runs a command to its end inside; after the limit it is killed, and fails. */
  async exec(command: readonly string[], limitMs: number): Promise<ExecResult> {
    const child = Bun.spawn(this.execCommand(command), {
      env: { ...this.spec.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const timer = setTimeout(() => killTree(child.pid), limitMs);
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearTimeout(timer);
    return { exitCode, output: stdout + stderr };
  }
}

/** Kills a process and its children: nsenter waits for one in another pid namespace. */
export function killTree(pid: number): void {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    for (const child of children === "" ? [] : children.split(" ")) killTree(Number(child));
    process.kill(pid, "SIGKILL");
  } catch {
    // Ended in the meantime.
  }
}
