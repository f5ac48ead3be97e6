// docs/first-hour.md, typed on three machines that boot a real systemd: every command, and what it is to answer.
import { expect, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { isPrinted } from "../support/examples.ts";
import { Machine } from "../support/machine.ts";
import { partsOf } from "../support/markdown.ts";
import { connectAll, Namespace } from "../support/namespace.ts";
import { rootOrReason } from "../support/packaged-node.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { makeTestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const NAMES = ["first", "second", "third"] as const;
const PAGE = join(import.meta.dir, "../../docs/first-hour.md");
/** Questions are asked again until the mesh has got so far: a reader looks more than once, too. */
const ASKS = /^peat-sidecar (?:peers|doctor|explain|get|collections)\b|^curl -sS localhost/;
const ASKED_MS_MAX = 3 * MINUTES;

interface Step {
  /** A machine, or `you`. */
  readonly where: string;
  readonly command: string;
  readonly shown: string;
}

function stepsOf(page: string): Step[] {
  const lines = partsOf(page)
    .blocks.filter(({ language }) => language === "console")
    .flatMap(({ text }) => text.split("\n"));
  const steps: Step[] = [];
  for (const line of lines) {
    const prompt = /^(?:root@(?<machine>[a-z]+)#|you\$) (?<command>.*)$/.exec(line)?.groups;
    const last = steps.at(-1);
    if (prompt !== undefined) {
      steps.push({
        where: prompt["machine"] ?? "you",
        command: prompt["command"] ?? "",
        shown: "",
      });
    } else if (last !== undefined) {
      steps.splice(-1, 1, { ...last, shown: `${last.shown}${line}\n` });
    }
  }
  return steps;
}

/** Machines on one switch, and a program `ssh` for `you` that leads to them. */
class Ships implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #machines = new Map<string, Machine>();
  readonly #programs: string;

  private constructor() {
    this.#programs = this.#stack.use(tempFolder()).path;
  }

  static async boot(base: string, deb: string): Promise<Ships> {
    const ships = new Ships();
    try {
      await ships.#boot(base, deb);
      return ships;
    } catch (error) {
      await ships[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #boot(base: string, deb: string): Promise<void> {
    const hub = this.#stack.use(new Namespace("hub"));
    const namespaces = NAMES.map((name) => this.#stack.use(new Namespace(name)));
    const ends = namespaces.map((namespace, i) => ({
      namespace,
      device: "eth0",
      address: `10.80.1.${i + 1}/24`,
    }));
    connectAll(hub, ends);
    const branches: string[] = [];
    for (const [i, hostname] of NAMES.entries()) {
      const namespace = namespaces[i];
      if (namespace === undefined) throw new Error(`no network for ${hostname}`);
      const machine = this.#stack.use(await Machine.boot(base, { hostname, namespace }));
      copyFileSync(deb, join(machine.root, "root/peat-sidecar_0.1.0-1_amd64.deb"));
      this.#machines.set(hostname, machine);
      const enter = machine.command(["sh", "-c"]).map((word) => `'${word}'`);
      branches.push(`root@${hostname}) shift; exec ${enter.join(" ")} "$*" ;;`);
    }
    const ssh = join(this.#programs, "ssh");
    writeFileSync(ssh, `#!/bin/sh\ncase "$1" in\n${branches.join("\n")}\nesac\nexit 255\n`);
    chmodSync(ssh, 0o755);
  }

  /** What a command prints, on both of its streams, as lines. */
  type(step: Step): string {
    return this.#type(step).replaceAll("\r", "");
  }

  #type({ where, command }: Step): string {
    const machine = this.#machines.get(where);
    if (machine !== undefined) return machine.run(`cd /root && ${command}`).text;
    const PATH = `${this.#programs}:${Bun.env["PATH"] ?? ""}`;
    const line = ["bash", "-c", command];
    const done = Bun.spawnSync(line, {
      env: { PATH },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    return `${done.stdout}${done.stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function walk(ships: Ships, step: Step): Promise<void> {
  const { command, shown, where } = step;
  let said = ships.type(step);
  if (ASKS.test(command)) {
    const isSoon = async () => {
      if (isPrinted(shown, said)) return true;
      await Bun.sleep(500);
      said = ships.type(step);
      return undefined;
    };
    await waitFor(`what the page shows of ${command}`, ASKED_MS_MAX, isSoon).catch(() => undefined);
  }
  if (!isPrinted(shown, said)) expect(`${where}: ${command}\n${said}`).toBe(shown);
}

const { base, missing } = await rootOrReason("debian-12");

test.skipIf(missing !== undefined)(
  `the first hour is as the page tells it (${missing ?? "three booted machines"})`,
  async () => {
    using packages = await makeTestPackages();
    await using ships = await Ships.boot(base, packages.deb(1));
    const steps = stepsOf(readFileSync(PAGE, "utf8"));
    expect(steps.length).toBeGreaterThan(35);
    for (const step of steps) {
      const since = performance.now();
      await walk(ships, step);
      const seconds = ((performance.now() - since) / 1000).toFixed(1);
      console.log(`${seconds.padStart(6)} s  ${step.where}: ${step.command.slice(0, 80)}`);
    }
  },
  15 * MINUTES,
);
