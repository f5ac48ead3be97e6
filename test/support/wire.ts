// A cable between two namespaces whose quality can be changed while it is in use.
import { join } from "node:path";
import type { WireQuality } from "../../scripts/network/wire.ts";
import { atExit } from "../../scripts/support/at-exit.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { type CableEnd, plugIn } from "./namespace.ts";

let wiresMade = 0;

export class Wire implements Disposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #devices: readonly [string, string];

  private constructor(
    process: Bun.Subprocess<"pipe", "pipe", "inherit">,
    devices: readonly [string, string],
  ) {
    this.#process = process;
    this.#devices = devices;
  }

  /** A cable that is plugged in nowhere yet; what leaves its second end is recorded in a file, if one is named. */
  static async open(record?: string): Promise<Wire> {
    wiresMade += 1;
    // Interfaces have names of 15 characters at most.
    const stem = `pw${process.pid}x${wiresMade}`;
    const devices = [`${stem}a`, `${stem}b`] as const;
    const program = join(projectDir, "scripts/network/wire.ts");
    const recorded = record === undefined ? [] : [record];
    const child = Bun.spawn([process.execPath, program, ...devices, ...recorded], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    child.exited.finally(atExit(() => child.kill("SIGKILL")));
    const { value, done } = await child.stdout.getReader().read();
    if (done || !new TextDecoder().decode(value).startsWith("plugged in")) {
      throw new Error("the wire's devices could not be made (/dev/net/tun)");
    }
    return new Wire(child, devices);
  }

  connect(a: CableEnd, b: CableEnd): void {
    const ends = [a, b] as const;
    for (const [i, { namespace, device }] of ends.entries()) {
      const made = this.#devices[i === 0 ? 0 : 1];
      const moved = Bun.spawnSync([
        "ip",
        "link",
        "set",
        made,
        "netns",
        namespace.name,
        "name",
        device,
      ]);
      if (!moved.success) throw new Error(`${made} can't be moved: ${moved.stderr.toString()}`);
    }
    plugIn(a, b);
  }

  /** Both directions are so from now on; nothing said is as good as it goes. */
  async degrade(quality: WireQuality): Promise<void> {
    this.#process.stdin.write(`${JSON.stringify(quality)}\n`);
    await this.#process.stdin.flush();
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGKILL");
  }
}
