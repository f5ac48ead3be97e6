// mDNS between real network namespaces: no default route, real packets, one process per node.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeLine } from "../support/mdns-node.ts";
import type { SpamArguments } from "../support/mdns-spam.ts";
import {
  connect,
  connectAll,
  LineProcess,
  Namespace,
  namespacesMissing,
} from "../support/namespace.ts";

const missing = namespacesMissing();
const rule = (name: string) => (missing === undefined ? name : `${name} [skipped: ${missing}]`);
const NODE = join(import.meta.dir, "../support/mdns-node.ts");
const SPAM = join(import.meta.dir, "../support/mdns-spam.ts");
const AVAHI_BROWSE = join(import.meta.dir, "../support/avahi-browse.sh");
const TAG = "0a1b2c3d";
/** Of every wait, the start of a process included. */
const LIMIT_MS = 60_000;

interface NodeOptions {
  readonly namespace: Namespace;
  readonly name: string;
  readonly tag?: string;
  readonly bindHost?: string;
}

function startNode({ namespace, name, tag = TAG, bindHost = "0.0.0.0" }: NodeOptions) {
  const command = [process.execPath, NODE, name, tag, "11204", bindHost];
  return new LineProcess<NodeLine>(namespace.command(command));
}

const seen = (name: string, ...hosts: readonly string[]) => {
  return (line: NodeLine) =>
    line.kind === "seen" &&
    line.name === name &&
    (hosts.length === 0 || line.hosts.join() === hosts.join());
};
const gone = (name: string) => (line: NodeLine) => line.kind === "gone" && line.name === name;
const logged = (text: string) => (line: NodeLine) =>
  line.kind === "log" && line.line.includes(text);

/** Two namespaces and a cable, nothing else: no default route, no multicast route. */
function twoHosts() {
  const left = new Namespace("left");
  const right = new Namespace("right");
  connect(
    { namespace: left, device: "eth0", address: "10.77.0.1/24" },
    { namespace: right, device: "eth0", address: "10.77.0.2/24" },
  );
  return {
    left,
    right,
    [Symbol.dispose]: () => {
      left[Symbol.dispose]();
      right[Symbol.dispose]();
    },
  };
}

describe.skipIf(missing !== undefined)("mDNS between hosts without any route", () => {
  test(
    rule("two nodes find each other, also by names with dots, and hear the goodbye"),
    async () => {
      using hosts = twoHosts();
      await using alpha = startNode({ namespace: hosts.left, name: "alpha" });
      await using beta = startNode({ namespace: hosts.right, name: "beta.site.example" });
      await alpha.until(seen("beta.site.example", "10.77.0.2:11204"), LIMIT_MS);
      await beta.until(seen("alpha", "10.77.0.1:11204"), LIMIT_MS);
      beta.tell("close");
      const closed = await beta.until((line) => line.kind === "closed", LIMIT_MS);
      expect(await beta.exited).toBe(0);
      await alpha.until(gone("beta.site.example"), LIMIT_MS);
      console.log(`mdns goodbye: ${closed.kind === "closed" ? closed.ms.toFixed(0) : "?"} ms`);
    },
  );

  test(rule("a node that appears later is found"), async () => {
    using hosts = twoHosts();
    await using alpha = startNode({ namespace: hosts.left, name: "alpha" });
    await alpha.until((line) => line.kind === "started", LIMIT_MS);
    await using beta = startNode({ namespace: hosts.right, name: "beta" });
    await beta.until((line) => line.kind === "started", LIMIT_MS);
    // By questions and announcements: within two seconds where the machine keeps up.
    const sinceMs = performance.now();
    await Promise.all([alpha.until(seen("beta"), 10_000), beta.until(seen("alpha"), 10_000)]);
    console.log(`mdns found: ${(performance.now() - sinceMs).toFixed(0)} ms`);
  });

  test(rule("a node whose address changes is told again with the new one only"), async () => {
    using hosts = twoHosts();
    await using alpha = startNode({ namespace: hosts.left, name: "alpha" });
    await using beta = startNode({ namespace: hosts.right, name: "beta" });
    await alpha.until(seen("beta", "10.77.0.2:11204"), LIMIT_MS);
    await beta.until(seen("alpha"), LIMIT_MS);
    hosts.right.ip("address", "del", "10.77.0.2/24", "dev", "eth0");
    await beta.until(logged("lost interface"), LIMIT_MS);
    hosts.right.ip("address", "add", "10.77.0.3/24", "dev", "eth0");
    await alpha.until(seen("beta", "10.77.0.3:11204"), LIMIT_MS);
    // A second one beside it, without a gap.
    hosts.right.ip("address", "add", "10.77.0.4/24", "dev", "eth0");
    await alpha.until(seen("beta", "10.77.0.3:11204", "10.77.0.4:11204"), LIMIT_MS);
    const skip = alpha.lines.length;
    hosts.right.ip("address", "del", "10.77.0.4/24", "dev", "eth0");
    await alpha.until(seen("beta", "10.77.0.3:11204"), LIMIT_MS, skip);
  }, 240_000);

  test(rule("nodes of two formations on one link ignore each other"), async () => {
    using hub = new Namespace("hub");
    using a = new Namespace("a");
    using b = new Namespace("b");
    using c = new Namespace("c");
    connectAll(
      hub,
      [a, b, c].map((namespace, i) => ({
        namespace,
        device: "eth0",
        address: `10.77.1.${i + 1}/24`,
      })),
    );
    await using alpha = startNode({ namespace: a, name: "alpha" });
    await using stranger = startNode({ namespace: b, name: "stranger", tag: "ffffffff" });
    await stranger.until((line) => line.kind === "started", LIMIT_MS);
    await using beta = startNode({ namespace: c, name: "beta" });
    // The last to come has asked everybody; whoever is found by it shows that answers have come.
    await beta.until(seen("alpha"), LIMIT_MS);
    await alpha.until(seen("beta"), LIMIT_MS);
    beta.tell("close");
    await alpha.until(gone("beta"), LIMIT_MS);
    for (const node of [alpha, beta]) {
      expect(node.lines.some((line) => seen("stranger")(line))).toBe(false);
    }
    expect(stranger.lines.some((line) => line.kind === "seen")).toBe(false);
  });

  test(rule("two interfaces are both announced on, each with its own address"), async () => {
    using middle = new Namespace("middle");
    using left = new Namespace("left");
    using right = new Namespace("right");
    connect(
      { namespace: middle, device: "eth0", address: "10.77.2.1/24" },
      { namespace: left, device: "eth0", address: "10.77.2.2/24" },
    );
    connect(
      { namespace: middle, device: "eth1", address: "10.77.3.1/24" },
      { namespace: right, device: "eth0", address: "10.77.3.2/24" },
    );
    await using node = startNode({ namespace: middle, name: "middle" });
    await using a = startNode({ namespace: left, name: "left" });
    await using b = startNode({ namespace: right, name: "right" });
    await a.until(seen("middle", "10.77.2.1:11204"), LIMIT_MS);
    await b.until(seen("middle", "10.77.3.1:11204"), LIMIT_MS);
    await node.until(seen("left"), LIMIT_MS);
    await node.until(seen("right"), LIMIT_MS);
    expect(a.lines.some(seen("right"))).toBe(false);
  });

  test(rule("an interface that comes later is used, and its absence is told"), async () => {
    using left = new Namespace("left");
    using right = new Namespace("right");
    left.ip("link", "set", "lo", "down");
    await using alpha = startNode({ namespace: left, name: "alpha" });
    await alpha.until(logged("no network interface works"), LIMIT_MS);
    connect(
      { namespace: left, device: "eth0", address: "10.77.4.1/24" },
      { namespace: right, device: "eth0", address: "10.77.4.2/24" },
    );
    await using beta = startNode({ namespace: right, name: "beta" });
    await alpha.until(logged("works again"), LIMIT_MS);
    await alpha.until(seen("beta"), LIMIT_MS);
    await beta.until(seen("alpha"), LIMIT_MS);
    const before = alpha.lines.length;
    left.ip("link", "del", "eth0");
    await alpha.until(logged("no network interface works"), LIMIT_MS, before);
  }, 240_000);

  test(rule("two nodes on a host with nothing but loopback find each other"), async () => {
    using host = new Namespace("host");
    await using alpha = startNode({ namespace: host, name: "alpha" });
    await using beta = startNode({ namespace: host, name: "beta" });
    await alpha.until(seen("beta", "127.0.0.1:11204"), LIMIT_MS);
    await beta.until(seen("alpha", "127.0.0.1:11204"), LIMIT_MS);
  });

  test(rule(
    "garbage, lies and 10,000 invented services change nothing for the others",
  ), async () => {
    using hub = new Namespace("hub");
    using a = new Namespace("a");
    using b = new Namespace("b");
    using c = new Namespace("c");
    connectAll(
      hub,
      [a, b, c].map((namespace, i) => ({
        namespace,
        device: "eth0",
        address: `10.77.5.${i + 1}/24`,
      })),
    );
    await using alpha = startNode({ namespace: a, name: "alpha" });
    await alpha.until((line) => line.kind === "started", LIMIT_MS);
    alpha.tell("memory");
    const before = await alpha.until((line) => line.kind === "memory", LIMIT_MS);
    const spamArguments: SpamArguments = ["10.77.5.2", TAG];
    const spam = Bun.spawn(b.command([process.execPath, SPAM, ...spamArguments]), {
      stdout: "ignore",
      stderr: "inherit",
    });
    expect(await spam.exited).toBe(0);
    await using beta = startNode({ namespace: c, name: "beta" });
    await alpha.until(seen("beta", "10.77.5.3:11204"), LIMIT_MS);
    await beta.until(seen("alpha", "10.77.5.1:11204"), LIMIT_MS);
    const skip = alpha.lines.length;
    alpha.tell("memory");
    const after = await alpha.until((line) => line.kind === "memory", LIMIT_MS, skip);
    if (before.kind !== "memory" || after.kind !== "memory") throw new Error("no memory told");
    const invented = alpha.lines.filter((line) => line.kind === "seen" && line.name !== "beta");
    const lines = alpha.lines.filter((line) => line.kind === "log").length;
    expect(invented.length).toBeLessThanOrEqual(512);
    expect(lines).toBeLessThanOrEqual(120);
    const grownMiB = (after.rssBytes - before.rssBytes) / 1024 / 1024;
    const spentMs = after.cpuMs - before.cpuMs;
    console.log(
      `mdns flood: rss +${grownMiB.toFixed(1)} MiB, cpu ${spentMs.toFixed(0)} ms, ${invented.length} invented`,
    );
    expect(grownMiB).toBeLessThan(40);
  }, 240_000);
});

const avahiPrograms = ["avahi-browse", "avahi-daemon", "dbus-daemon", "unshare"];
const absent = avahiPrograms.filter((program) => Bun.which(program) === null);
const noAvahi = missing ?? (absent.length === 0 ? undefined : `needs ${absent.join(", ")}`);

test.skipIf(noAvahi !== undefined)(
  `Avahi resolves a node's service${noAvahi === undefined ? "" : ` [skipped: ${noAvahi}]`}`,
  async () => {
    using hosts = twoHosts();
    await using alpha = startNode({ namespace: hosts.left, name: "alpha.site" });
    await alpha.until((line) => line.kind === "started", LIMIT_MS);
    const folder = mkdtempSync(join(tmpdir(), "peat-avahi-"));
    try {
      const browse = ["unshare", "--mount", "sh", AVAHI_BROWSE, folder];
      const { stdout } = Bun.spawnSync(hosts.right.command(browse), {
        stderr: "ignore",
        timeout: LIMIT_MS,
      });
      const found = stdout.toString();
      expect(found).toContain("_peat._udp;local;");
      expect(found).toContain(";10.77.0.1;11204;");
      expect(found).toContain('"node_id=alpha.site"');
      expect(found).toContain(`"formation=${TAG}"`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  240_000,
);
