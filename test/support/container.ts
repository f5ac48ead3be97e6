// A container of the image, run by podman as Kubernetes' restricted level has it: read-only root, the image's own
// user, no capability, no way to gain one, the usual system call filter; in a network namespace of the test.
import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Bases } from "../../scripts/image/bases.ts";
import { Podman } from "../../scripts/image/podman.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { type Namespace, namespacesMissing } from "./namespace.ts";

/** Of the image. */
const USER = 65532;
/** Within what this process may have: podman's own limits are more than root has on some machines. */
const LIMITS = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"];
const LOADERS: Readonly<Record<string, string>> = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
};

/** Why images can't be built here, or undefined. */
export function podmanMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const program = ["podman", "zstd"].find((name) => Bun.which(name) === null);
  return program === undefined ? undefined : `needs ${program}`;
}

/** Why containers can't be run where images can be built, or undefined. */
export async function containersMissing(bases: Bases): Promise<string | undefined> {
  const missing = namespacesMissing();
  if (missing !== undefined) return missing;
  await using podman = await Podman.open();
  await podman.import(bases.cc, "localhost/probe");
  const loader = LOADERS[process.arch] ?? "";
  const probe = [
    "run",
    "--rm",
    "--network=none",
    ...LIMITS,
    "localhost/probe",
    loader,
    "--version",
  ];
  try {
    await podman.run(...probe);
  } catch (reason) {
    const [last = ""] = String(reason).trim().split("\n").reverse();
    return `podman can't run containers here: ${last}`;
  }
  return undefined;
}

export interface ContainerOptions {
  readonly podman: Podman;
  readonly image: string;
  readonly name: string;
  readonly namespace: Namespace;
  /** On the host; becomes /data. */
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number | null;
  readonly ms: number;
}

export class Container implements AsyncDisposable {
  readonly #options: ContainerOptions;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #output: Promise<void>;
  #text = "";

  private constructor(options: ContainerOptions) {
    const { podman, image, name, namespace, dataDir, env } = options;
    this.#options = options;
    const command = podman.command([
      ...["run", "--rm", `--name=${name}`, `--network=ns:/run/netns/${namespace.name}`],
      ...["--read-only", "--read-only-tmpfs=false", `--volume=${dataDir}:/data`],
      ...["--cap-drop=all", "--security-opt=no-new-privileges", ...LIMITS],
      // Run by the test, not by timers of systemd.
      "--health-interval=disable",
      ...Object.keys(env).map((variable) => `--env=${variable}`),
      image,
    ]);
    this.#child = Bun.spawn(command, {
      env: { PATH: Bun.env["PATH"] ?? "", HOME: podman.folder, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      for await (const chunk of stream) this.#text += Buffer.from(chunk).toString();
    };
    this.#output = Promise.all([read(this.#child.stdout), read(this.#child.stderr)]).then(() => {});
  }

  /** Resolves when its first line is there: it runs, and is not ready yet. */
  static async start(options: ContainerOptions): Promise<Container> {
    await mkdir(options.dataDir, { recursive: true });
    await chown(options.dataDir, USER, USER);
    const container = new Container(options);
    await container.until("Starting peat-mesh-node");
    return container;
  }

  /** What it and podman have printed so far. */
  get text(): string {
    return this.#text;
  }

  /** Resolves when the words have been printed; fails with everything that was, at its end or after a minute. */
  async until(words: string): Promise<void> {
    await waitFor(`"${words}" of ${this.#options.name}`, 60_000, () => {
      if (this.#text.includes(words)) return true;
      if (this.#child.exitCode !== null) throw new Error(`it ended:\n${this.#text}`);
      return undefined;
    });
  }

  /** As kubectl exec does: a command in the container; its exit status and what it prints. */
  async exec(...command: readonly string[]): Promise<{ code: number; stdout: string }> {
    const { podman, name } = this.#options;
    const child = Bun.spawn(podman.command(["exec", name, ...command]), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    const stdout = await new Response(child.stdout).text();
    return { code: await child.exited, stdout };
  }

  async ready(): Promise<void> {
    const ask = ["peat-mesh-node", "health", "--ready"];
    await waitFor(`${this.#options.name} to be ready`, 60_000, async () => {
      if (this.#child.exitCode !== null) throw new Error(`it ended:\n${this.#text}`);
      return (await this.exec(...ask)).code === 0 || undefined;
    });
  }

  /** What the kernel says of its first process, by the names of proc(5). */
  async processStatus(): Promise<ReadonlyMap<string, string>> {
    const pid = await this.#options.podman.inspect(this.#options.name, "{{.State.Pid}}");
    const text = await Bun.file(join("/proc", pid, "status")).text();
    const rows = text.split("\n").map((line) => line.split(":\t"));
    return new Map(rows.map(([name = "", value = ""]) => [name, value.trim()]));
  }

  /** SIGTERM to its first process; resolves at its end, or after half a minute with SIGKILL. */
  async stop(): Promise<Ended> {
    const startedMs = performance.now();
    await this.#options.podman.run("kill", "--signal=TERM", this.#options.name);
    const timer = setTimeout(() => this.#kill(), 30_000);
    const code = await this.#child.exited;
    clearTimeout(timer);
    const ms = performance.now() - startedMs;
    await this.#output;
    return { code, ms };
  }

  #kill(): void {
    this.#options.podman.run("kill", this.#options.name).catch(() => this.#child.kill("SIGKILL"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#kill();
      await this.#child.exited;
    }
  }
}
