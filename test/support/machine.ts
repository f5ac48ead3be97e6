// A Debian machine of a test's own: a layer over a cached root, with a real systemd that is booted in it.
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import type { Namespace } from "./namespace.ts";
import { type TempFolder, tempFolder } from "./temp-folder.ts";

/** Why machines can't be booted here, or undefined. */
export function machinesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  for (const program of ["systemd-nspawn", "nsenter", "mount"]) {
    if (Bun.which(program) === null) return `needs the program ${program}`;
  }
  return undefined;
}

const BOOT_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 60_000;
const DAILY_TIMERS = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "systemd-tmpfiles-clean.timer",
];
const ENVIRONMENT = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb"];

export interface Outcome {
  readonly code: number | null;
  /** Standard output and standard error. */
  readonly text: string;
}

function outcome(command: readonly string[], input?: string): Outcome {
  const stdin = input === undefined ? "ignore" : new TextEncoder().encode(input);
  const done = Bun.spawnSync([...command], { stdin, stdout: "pipe", stderr: "pipe" });
  return { code: done.exitCode, text: `${done.stdout}${done.stderr}` };
}

function must(command: readonly string[]): string {
  const { code, text } = outcome(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${text.trim()}`);
  return text;
}

/** The layer over a root: what is written goes to a temporary folder. */
class Layer implements Disposable {
  readonly #folder: TempFolder;
  readonly root: string;

  constructor(base: string) {
    this.#folder = tempFolder();
    this.root = this.#folder.file("root");
    const [upper, work] = [this.#folder.file("upper"), this.#folder.file("work")];
    for (const path of [this.root, upper, work]) mkdirSync(path);
    const options = `lowerdir=${base},upperdir=${upper},workdir=${work}`;
    must(["mount", "-t", "overlay", "overlay", "-o", options, this.root]);
  }

  [Symbol.dispose](): void {
    outcome(["umount", "-l", this.root]);
    this.#folder[Symbol.dispose]();
  }
}

/** Every path below `root` with type, mode, owner and group, without what systems write on their own. */
function listFiles(root: string): string[] {
  const own = [
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/tmp",
    "var/log",
    "var/cache",
    "var/lib/apt",
  ];
  const skip = own.flatMap((path) => ["-path", `./${path}`, "-prune", "-o"]);
  const list = must([
    "sh",
    "-c",
    'cd "$1" && shift && exec find . "$@"',
    "sh",
    root,
    ...skip,
    "-printf",
    "%P %y %m %U %G\\n",
  ]);
  const changing =
    /^(?:var\/lib\/(?:dpkg|systemd)\/|etc\/(?:passwd|group|shadow|gshadow|subuid|subgid|machine-id|resolv\.conf|localtime|\.pwd\.lock|ld\.so\.cache|hostname))/;
  return list
    .split("\n")
    .filter((line) => line !== "" && !changing.test(line))
    .sort();
}

/** A root without anything running: what a container's build is. */
export class BareRoot implements Disposable {
  readonly #layer: Layer;

  constructor(base: string) {
    this.#layer = new Layer(base);
    must(["mount", "--bind", "/dev", join(this.root, "dev")]);
    must(["mount", "-t", "proc", "proc", join(this.root, "proc")]);
  }

  get root(): string {
    return this.#layer.root;
  }

  run(script: string): Outcome {
    return outcome(["chroot", this.root, "env", "-i", ...ENVIRONMENT, "sh", "-c", script]);
  }

  files(): string[] {
    return listFiles(this.root);
  }

  [Symbol.dispose](): void {
    outcome(["umount", "-l", join(this.root, "proc")]);
    outcome(["umount", "-l", join(this.root, "dev")]);
    this.#layer[Symbol.dispose]();
  }
}

/** How a root boots, when it is up, and how it goes down. */
const INITS = {
  systemd: {
    boot: (root: string) => ["--boot", "-D", root],
    isUp: 'state=$(systemctl is-system-running); [ "$state" = running ] || [ "$state" = degraded ]',
    // The signal by which systemd is told to power off.
    stop: (pid: number) => ["kill", "-s", "RTMIN+4", String(pid)],
  },
  openrc: {
    boot: (root: string) => ["-D", root, "/sbin/openrc-init"],
    isUp: 'test -e /run/openrc/softlevel && test -z "$(ls /run/openrc/starting)" && rc-status -r | grep -q default',
    stop: (pid: number) => [
      "nsenter",
      "-t",
      String(pid),
      "-a",
      "/sbin/openrc-shutdown",
      "-p",
      "now",
    ],
  },
} as const;

export interface MachineOptions {
  readonly hostname: string;
  /** Its network; else it has a loopback interface and nothing more. */
  readonly namespace?: Namespace;
  /** systemd, unless told otherwise. */
  readonly init?: keyof typeof INITS;
}

export class Machine implements AsyncDisposable {
  readonly #layer: Layer;
  readonly #options: MachineOptions;
  #nspawn: Bun.Subprocess;

  private constructor(layer: Layer, options: MachineOptions) {
    this.#layer = layer;
    this.#options = options;
    // What is in the root was the builder's.
    writeFileSync(join(layer.root, "etc/hostname"), `${options.hostname}\n`);
    // Those that come at an hour of the day would make files between two looks at them.
    const units = join(layer.root, "etc/systemd/system");
    mkdirSync(units, { recursive: true });
    for (const timer of DAILY_TIMERS) {
      rmSync(join(units, timer), { force: true });
      symlinkSync("/dev/null", join(units, timer));
    }
    this.#nspawn = this.#start();
  }

  #start(): Bun.Subprocess {
    const { hostname, namespace } = this.#options;
    const network =
      namespace === undefined
        ? "--private-network"
        : `--network-namespace-path=/run/netns/${namespace.name}`;
    const options = ["--quiet", "--register=no", "--keep-unit", network];
    const names = [`--hostname=${hostname}`, `--machine=${hostname}-${process.pid}`];
    const rest = ["--link-journal=no", "--resolv-conf=off", "--timezone=off"];
    const boot = this.#kind.boot(this.root);
    const command = [...options, ...names, ...rest, "--console=read-only", ...boot];
    return Bun.spawn(["systemd-nspawn", ...command], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  }

  /** Resolves when everything that starts at boot has started. */
  static async boot(base: string, options: MachineOptions): Promise<Machine> {
    const layer = new Layer(base);
    const machine = new Machine(layer, options);
    try {
      await machine.#booted();
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  get root(): string {
    return this.#layer.root;
  }

  get #kind(): (typeof INITS)["systemd" | "openrc"] {
    return INITS[this.#options.init ?? "systemd"];
  }

  /** The process of its init, as the host numbers it. */
  #init(): number | undefined {
    const list = outcome(["pgrep", "-P", String(this.#nspawn.pid)])
      .text.trim()
      .split("\n");
    const [pid] = list.filter((text) => /^\d+$/.test(text)).map(Number);
    return pid;
  }

  async #booted(): Promise<void> {
    await waitFor(
      "a machine that has booted",
      BOOT_LIMIT_MS,
      () => {
        if (this.#nspawn.exitCode !== null) throw new Error("systemd-nspawn ended");
        if (this.#init() === undefined) return undefined;
        return this.run(this.#kind.isUp).code === 0 || undefined;
      },
      200,
    );
  }

  /** The command that runs another one inside; only its network where nothing else is to be the machine's. */
  command(command: readonly string[], inside: "all" | "network" = "all"): string[] {
    const init = this.#init();
    if (init === undefined) throw new Error("the machine does not run");
    const enter = ["nsenter", "-t", String(init), inside === "all" ? "-a" : "-n"];
    const clean = inside === "all" ? ["env", "-i", ...ENVIRONMENT] : [];
    return [...enter, ...clean, ...command];
  }

  run(script: string, input?: string): Outcome {
    return outcome(this.command(["sh", "-c", script]), input);
  }

  /** What a script prints; its failure is the test's. */
  read(script: string): string {
    const { code, text } = this.run(script);
    if (code !== 0) throw new Error(`${script} (${code}): ${text.trim()}`);
    return text.trim();
  }

  /** The same while the test's own work goes on. */
  async work(script: string): Promise<string> {
    const child = Bun.spawn(this.command(["sh", "-c", script]), { stdout: "pipe", stderr: "pipe" });
    const texts = await Promise.all(
      [child.stdout, child.stderr].map((s) => new Response(s).text()),
    );
    if ((await child.exited) !== 0) throw new Error(`${script}: ${texts.join("").trim()}`);
    return texts.join("").trim();
  }

  property(name: string): string {
    return this.read(`systemctl show -P ${name} peat-sidecar.service`);
  }

  /** Files on its disk. */
  files(): string[] {
    return listFiles(this.root);
  }

  /** Lines of the journal that the service wrote itself, or all that are about it. */
  journal(whose: "own" | "all" = "own"): string[] {
    const filter = whose === "own" ? "SYSLOG_IDENTIFIER=peat-sidecar" : "";
    // What was written before this line may still be on its way.
    const command = `journalctl --sync && journalctl -u peat-sidecar.service -o cat ${filter}`;
    const lines = this.run(command).text.split("\n");
    return lines.filter((line) => line !== "" && !line.startsWith("-- "));
  }

  async reboot(): Promise<void> {
    this.run("systemctl reboot");
    // It ends with the wish to be started again.
    await this.#ended();
    this.#nspawn = this.#start();
    await this.#booted();
  }

  async #ended(): Promise<void> {
    const ended = await Promise.race([
      this.#nspawn.exited.then(() => true),
      Bun.sleep(STOP_LIMIT_MS).then(() => false),
    ]);
    if (!ended) this.#nspawn.kill("SIGKILL");
    await this.#nspawn.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const init = this.#init();
    if (init !== undefined) outcome(this.#kind.stop(init));
    await this.#ended();
    this.#layer[Symbol.dispose]();
  }
}

/** Whether a root has a path, followed inside of it only by its name. */
export function has(root: string, path: string): boolean {
  return existsSync(join(root, path));
}
