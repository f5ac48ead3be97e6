// Two hosts that can't reach each other, and a relay that both can: three network namespaces and two cables, and a
// third one for when there is to be a direct way after all.
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Seat } from "../../scripts/network/seat.ts";
import { atExit } from "../../scripts/support/at-exit.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { connect, Namespace } from "./namespace.ts";

/** One address of the relay for both, though each comes by a cable of its own. */
const RELAY_ADDRESS = "10.78.0.1";
/** Of its development mode: plain HTTP. */
const RELAY_PORT = 3340;

export interface RelayLabOptions {
  readonly executable: string;
  /** The relay's program. */
  readonly relay: string;
  readonly logFilter?: string;
}

export class RelayLab implements AsyncDisposable {
  readonly a: Seat;
  readonly b: Seat;
  readonly url = `http://${RELAY_ADDRESS}:${RELAY_PORT}`;
  readonly #between: Namespace;
  readonly #folder: string;
  readonly #forgetFolder: () => void;
  readonly #relay: Bun.Subprocess;

  private constructor(options: RelayLabOptions, folder: string) {
    const { executable, logFilter = "info" } = options;
    this.#folder = folder;
    this.#forgetFolder = atExit(() => rmSync(folder, { recursive: true, force: true }));
    this.#between = new Namespace("relay");
    this.#between.ip("address", "add", `${RELAY_ADDRESS}/32`, "dev", "lo");
    // Whoever listens between the two must be no router.
    this.#between.read(["sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"]);
    const seat = (name: string, net: number) => {
      const namespace = new Namespace(name);
      connect(
        { namespace: this.#between, device: `to-${name}`, address: `10.78.${net}.1/24` },
        { namespace, device: "eth0", address: `10.78.${net}.2/24` },
      );
      namespace.ip("route", "add", `${RELAY_ADDRESS}/32`, "via", `10.78.${net}.1`);
      const secretFile = join(folder, "formation-secret");
      return new Seat({ name, namespace, executable, folder, secretFile, logFilter });
    };
    this.a = seat("a", 1);
    this.b = seat("b", 2);
    this.#relay = Bun.spawn(this.#between.command([options.relay, "--dev"]), {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    this.#relay.exited.finally(atExit(() => this.#relay.kill("SIGKILL")));
  }

  /** The relay answers; no node runs yet. */
  static async open(options: RelayLabOptions): Promise<RelayLab> {
    const folder = await mkdtemp(join(tmpdir(), "peat-relay-"));
    const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64();
    await writeFile(join(folder, "formation-secret"), `${secret}\n`, { mode: 0o600 });
    const lab = new RelayLab(options, folder);
    const ask = lab.a.namespace.command(["curl", "-sf", "-o", "/dev/null", `${lab.url}/ping`]);
    await waitFor("the relay", 20_000, () => Bun.spawnSync(ask).success || undefined, 100);
    return lab;
  }

  /** A cable from one host to the other. */
  connectDirectly(): void {
    connect(
      { namespace: this.a.namespace, device: "direct", address: "10.78.3.1/24" },
      { namespace: this.b.namespace, device: "direct", address: "10.78.3.2/24" },
    );
  }

  /** Takes that cable away. */
  disconnect(): void {
    this.a.namespace.ip("link", "del", "direct");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a[Symbol.asyncDispose](), this.b[Symbol.asyncDispose]()]);
    this.#relay.kill("SIGKILL");
    await this.#relay.exited;
    this.#between[Symbol.dispose]();
    await rm(this.#folder, { recursive: true, force: true });
    this.#forgetFolder();
  }
}
