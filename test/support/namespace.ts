// Network namespaces of our own: real interfaces and packets that never leave the machine.
import { existsSync } from "node:fs";

/** Why namespaces can't be used here, or undefined. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  if (Bun.which("ip") === null) return "needs the program ip";
  const probe = `peat-probe-${process.pid}`;
  if (!tryIp("netns", "add", probe)) return "needs the right to make network namespaces";
  tryIp("netns", "del", probe);
  return undefined;
}

/** Why namespaces with a slow or recorded cable between them can't be used here, or undefined. */
export function wiresMissing(): string | undefined {
  const missing = namespacesMissing();
  if (missing !== undefined) return missing;
  return existsSync("/dev/net/tun") ? undefined : "needs /dev/net/tun";
}

function tryIp(...args: readonly string[]): boolean {
  return Bun.spawnSync(["ip", ...args], { stderr: "ignore", stdout: "ignore" }).exitCode === 0;
}

/** Runs `ip`; what it complains of becomes the test's failure. */
function ip(...args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args]);
  if (exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.toString().trim()}`);
}

let namespacesMade = 0;

/** A namespace with nothing but a loopback interface that is up. Deleted when disposed of. */
export class Namespace implements Disposable {
  readonly name: string;

  constructor(label: string) {
    namespacesMade += 1;
    this.name = `peat-${process.pid}-${namespacesMade}-${label}`;
    ip("netns", "add", this.name);
    this.ip("link", "set", "lo", "up");
  }

  /** `ip` inside of the namespace. */
  ip(...args: readonly string[]): void {
    ip("-n", this.name, ...args);
  }

  /** What a command inside prints. */
  read(command: readonly string[]): string {
    const { exitCode, stdout, stderr } = Bun.spawnSync(this.command(command));
    const told = stderr.toString().trim();
    if (exitCode !== 0) throw new Error(`${this.name}: ${command.join(" ")}: ${told}`);
    return stdout.toString();
  }

  /** The command line that runs `command` inside. */
  command(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...command];
  }

  [Symbol.dispose](): void {
    tryIp("netns", "del", this.name);
  }
}

export interface CableEnd {
  readonly namespace: Namespace;
  readonly device: string;
  /** With its prefix length, as in `10.0.0.1/24`; no route beyond it is set. */
  readonly address?: string;
}

/** Connects two namespaces by a cable that works. */
export function connect(a: CableEnd, b: CableEnd): void {
  const peer = ["peer", "name", b.device, "netns", b.namespace.name];
  ip("-n", a.namespace.name, "link", "add", a.device, "type", "veth", ...peer);
  plugIn(a, b);
}

/** Gives two devices that hang together their addresses, and waits until they work. */
export function plugIn(a: CableEnd, b: CableEnd): void {
  for (const { namespace, device, address } of [a, b]) {
    if (address !== undefined) namespace.ip("address", "add", address, "dev", device);
    namespace.ip("link", "set", device, "up");
  }
  for (const end of [a, b]) waitForCarrier(end);
}

/** The kernel notices up to a second late that a cable has two ends. */
function waitForCarrier({ namespace, device }: CableEnd): void {
  const endMs = performance.now() + 30_000;
  const command = ["ip", "-n", namespace.name, "link", "show", device];
  while (!Bun.spawnSync(command).stdout.toString().includes("LOWER_UP")) {
    if (performance.now() > endMs) throw new Error(`${device} has no carrier after 30 s`);
    Bun.sleepSync(10);
  }
}

/** A switch in a namespace of its own, to which others are connected. */
export function connectAll(hub: Namespace, ends: readonly CableEnd[]): void {
  hub.ip("link", "add", "switch", "type", "bridge", "mcast_snooping", "0");
  hub.ip("link", "set", "switch", "up");
  for (const [i, end] of ends.entries()) {
    const port = `port${i}`;
    connect({ namespace: hub, device: port }, end);
    hub.ip("link", "set", port, "master", "switch");
  }
}

/** A process that prints one JSON value per line, and what it has printed so far. */
export class LineProcess<T> implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: T[] = [];
  readonly #waiting = new Set<() => void>();
  #end = "";

  constructor(command: readonly string[]) {
    this.#process = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    void this.#read();
  }

  get lines(): readonly T[] {
    return this.#lines;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  /** Sends a line to the process's standard input. */
  tell(line: string): void {
    this.#process.stdin.write(`${line}\n`);
    this.#process.stdin.flush();
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The first line after the first `skip` for which `isIt`; fails after `deadlineMs`. */
  async until(isIt: (line: T) => boolean, deadlineMs: number, skip = 0): Promise<T> {
    const endMs = performance.now() + deadlineMs;
    while (true) {
      const found = this.#lines.slice(skip).find(isIt);
      if (found !== undefined) return found;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || this.#end !== "") {
        throw new Error(
          `not seen in ${deadlineMs} ms${this.#end}; seen: ${JSON.stringify(this.#lines)}`,
        );
      }
      await this.#change(leftMs);
    }
  }

  async #change(deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, deadlineMs);
      this.#waiting.add(wake);
    });
  }

  async #read(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#process.stdout) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines.filter((line) => line !== "").map((line) => JSON.parse(line) as T));
      for (const wake of [...this.#waiting]) wake();
    }
    this.#end = " (the process has ended)";
    for (const wake of [...this.#waiting]) wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
