// The network namespace of a pod: one interface, an address of its own, and the node as its router.
import { rmSync } from "node:fs";

const ROUTER_HOST = 1;
const FIRST_POD_HOST = 2;
const LAST_POD_HOST = 254;

function ip(args: readonly string[], batch?: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args], {
    stdin: batch === undefined ? "ignore" : Buffer.from(`${batch.join("\n")}\n`),
    stderr: "pipe",
  });
  if (exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.toString().trim()}`);
}

/** Addresses of one node's pods, as in `10.42.0`: the last number is the pod's; used ones come last again. */
export class PodAddresses {
  readonly #prefix: string;
  readonly #taken = new Set<number>();
  #last = ROUTER_HOST;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get router(): string {
    return `${this.#prefix}.${ROUTER_HOST}`;
  }

  take(): number {
    for (let tries = FIRST_POD_HOST; tries <= LAST_POD_HOST; tries += 1) {
      this.#last = this.#last >= LAST_POD_HOST ? FIRST_POD_HOST : this.#last + 1;
      if (this.#taken.has(this.#last)) continue;
      this.#taken.add(this.#last);
      return this.#last;
    }
    throw new Error(`${this.#prefix}.0/24 has no address left`);
  }

  giveBack(host: number): void {
    this.#taken.delete(host);
  }

  address(host: number): string {
    return `${this.#prefix}.${host}`;
  }
}

export class PodNetwork implements Disposable {
  readonly namespace: string;
  readonly address: string;
  readonly #addresses: PodAddresses;
  readonly #host: number;
  readonly #device: string;

  /** Made from inside of the node's namespace; `prefix` keeps namespaces of several nodes apart. */
  constructor(prefix: string, addresses: PodAddresses) {
    this.#addresses = addresses;
    this.#host = addresses.take();
    this.address = addresses.address(this.#host);
    this.namespace = `${prefix}-pod-${this.#host}`;
    this.#device = `pod${this.#host}`;
    const router = addresses.router;
    // A node that was killed leaves the namespaces of its pods behind.
    this.#remove();
    ip(["netns", "add", this.namespace]);
    const peer = `peer name eth0 netns ${this.namespace}`;
    ip(
      ["-batch", "-"],
      [
        `link add ${this.#device} type veth ${peer}`,
        `address add ${router}/32 dev ${this.#device}`,
        `link set ${this.#device} up`,
        `route add ${this.address}/32 dev ${this.#device}`,
      ],
    );
    ip(
      ["-n", this.namespace, "-batch", "-"],
      [
        "link set lo up",
        "link set eth0 up",
        `address add ${this.address}/32 dev eth0`,
        `route add ${router}/32 dev eth0 scope link`,
        `route add default via ${router} dev eth0`,
      ],
    );
  }

  #remove(): void {
    Bun.spawnSync(["ip", "link", "del", this.#device], { stderr: "ignore" });
    Bun.spawnSync(["ip", "netns", "del", this.namespace], { stderr: "ignore" });
    rmSync(`/run/netns/${this.namespace}`, { force: true });
  }

  [Symbol.dispose](): void {
    this.#remove();
    this.#addresses.giveBack(this.#host);
  }
}
