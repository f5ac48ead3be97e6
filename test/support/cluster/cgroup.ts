// Limits of a container as control groups, version 1 or 2, whichever this machine has.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { type Container, quantity } from "./objects.ts";

const ROOT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;
const END_LIMIT_MS = 10_000;

/** Why containers can't be limited here, or undefined: tried, because rights are as various as machines. */
export function cgroupsMissing(): string | undefined {
  try {
    const limits = { cpu: "1", memory: "64Mi" };
    new Cgroup(`peat-probe-${process.pid}`, { limits })[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return `needs control groups for cpu and memory: ${String(error)}`;
  }
}

function isUnified(): boolean {
  return existsSync(join(ROOT, "cgroup.controllers"));
}

/** The memory controller's comes last. */
function parents(): readonly string[] {
  return isUnified() ? [ROOT] : [join(ROOT, "cpu"), join(ROOT, "memory")];
}

/** Kills whatever is in the groups whose names begin so. */
export function killCgroups(prefix: string): void {
  const parent = parents().at(-1) ?? ROOT;
  for (const name of readdirSync(parent).filter((one) => one.startsWith(prefix))) {
    const pids = readFileSync(join(parent, name, "cgroup.procs"), "utf8").trim();
    for (const pid of pids === "" ? [] : pids.split("\n")) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // Ended in the meantime.
      }
    }
  }
}

/** Removes those groups once their processes, which must be ending, are gone. */
export async function removeCgroups(prefix: string): Promise<void> {
  for (const parent of parents()) {
    for (const name of readdirSync(parent).filter((one) => one.startsWith(prefix))) {
      await waitFor(`the end of ${name}`, END_LIMIT_MS, () => removed(join(parent, name)));
    }
  }
}

function removed(folder: string): true | undefined {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return undefined; // The kernel lets go of the last process a moment after its end.
  }
}

/** The most memory that a group has used at one time, the page cache of its files included. */
export function peakBytesOf(name: string): number {
  const [file, parent = ROOT] = isUnified()
    ? ["memory.peak"]
    : ["memory.max_usage_in_bytes", join(ROOT, "memory")];
  return Number(readFileSync(join(parent, name, file), "utf8"));
}

export class Cgroup implements Disposable {
  readonly name: string;
  readonly #folders: readonly string[];
  readonly #memory: string;

  /** `name` must be unique on this machine. */
  constructor(name: string, resources: Container["resources"]) {
    this.name = name;
    // A node that lost its power leaves the groups of its containers behind.
    for (const parent of parents()) removed(join(parent, name));
    const cpus = resources?.limits?.["cpu"];
    const bytes = resources?.limits?.["memory"];
    if (isUnified()) {
      this.#memory = join(ROOT, name);
      this.#folders = [this.#memory];
      writeFileSync(join(ROOT, "cgroup.subtree_control"), "+cpu +memory");
      mkdirSync(this.#memory, { recursive: true });
      if (cpus !== undefined) {
        const max = `${Math.round(quantity(cpus) * PERIOD_US)} ${PERIOD_US}`;
        writeFileSync(join(this.#memory, "cpu.max"), max);
      }
      if (bytes !== undefined) {
        writeFileSync(join(this.#memory, "memory.max"), String(quantity(bytes)));
      }
      return;
    }
    const cpu = join(ROOT, "cpu", name);
    this.#memory = join(ROOT, "memory", name);
    this.#folders = [cpu, this.#memory];
    for (const folder of this.#folders) mkdirSync(folder, { recursive: true });
    if (cpus !== undefined) {
      writeFileSync(join(cpu, "cpu.cfs_period_us"), String(PERIOD_US));
      writeFileSync(join(cpu, "cpu.cfs_quota_us"), String(Math.round(quantity(cpus) * PERIOD_US)));
    }
    if (bytes !== undefined) {
      writeFileSync(join(this.#memory, "memory.limit_in_bytes"), String(quantity(bytes)));
    }
  }

  /** Files to which a process writes 0 to become, with all that it starts, a member. */
  get doors(): string[] {
    return this.#folders.map((folder) => join(folder, "cgroup.procs"));
  }

  /** How many of its processes were killed for want of memory. */
  outOfMemoryKills(): number {
    const file = isUnified() ? "memory.events" : "memory.oom_control";
    const text = readFileSync(join(this.#memory, file), "utf8");
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  /** Only after all of its processes have ended; what is left then, the cluster's end removes. */
  [Symbol.dispose](): void {
    for (const folder of this.#folders) removed(folder);
  }
}
