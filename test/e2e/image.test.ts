// The image as it is built and run: by podman, from a base made of Debian's packages, with what Kubernetes' restricted
// level takes away from a container, and a node of the executable on the host beside it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBases } from "../../scripts/image/bases.ts";
import { buildFromFiles, buildImage, importBases, RUNTIME } from "../../scripts/image/build.ts";
import { Podman } from "../../scripts/image/podman.ts";
import { weighImage } from "../../scripts/image/sizes.ts";
import { Seat } from "../../scripts/network/seat.ts";
import { hostTarget } from "../../scripts/support/build-targets.ts";
import {
  ADDON_PATH,
  ensureHostExecutable,
  meshNodePath,
} from "../../scripts/support/executable.ts";
import { layOut } from "../../scripts/support/layout.ts";
import { commitOfCheckout, readPackageJson } from "../../scripts/support/project.ts";
import { quieten } from "../../scripts/support/quiet-addon.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Container, containersMissing, podmanMissing } from "../support/container.ts";
import { connect, Namespace } from "../support/namespace.ts";

const PLAIN = "localhost/peat-mesh-node:plain";
const DEBUG = "localhost/peat-mesh-node:debug";
const HOST_ADDRESS = "10.79.0.1";
const POD_ADDRESS = "10.79.0.2";
const SECRET = crypto.getRandomValues(new Uint8Array(32)).toBase64();
/** Aims, in MB. zstd at a level that leaves room for builders that compress less well than it does. */
const GZIP_MB_MAX = 75;
const ZSTD_MB_MAX = 62;
const ZSTD_LEVEL = 16;

const bases = await findBases();
const missing = "missing" in bases ? bases.missing : podmanMissing();
const unable = missing ?? ("missing" in bases ? undefined : await containersMissing(bases));

let podman: Podman;
let root = "";
let folder = "";

async function addonLibrary(): Promise<string> {
  const addon = await ensureHostExecutable();
  return addon.library;
}

/** Every file of an image, as paths that begin with a slash. */
function filesBelow(path: string): string[] {
  const found = Bun.spawnSync(["find", path, "!", "-type", "d", "-printf", "/%P\\0"]);
  return found.stdout.toString().split("\0").slice(0, -1);
}

/** A pod's network and the host's, joined by a cable, with a node on the host that knows the pod's. */
class Pair implements AsyncDisposable {
  readonly host: Seat;
  readonly pod: Namespace;
  readonly #folder: string;

  private constructor(path: string) {
    this.#folder = path;
    const namespace = new Namespace("host");
    this.pod = new Namespace("pod");
    connect(
      { namespace, device: "eth0", address: `${HOST_ADDRESS}/24` },
      { namespace: this.pod, device: "eth0", address: `${POD_ADDRESS}/24` },
    );
    const secretFile = join(path, "formation-secret");
    const where = { folder: path, secretFile, executable: meshNodePath, logFilter: "info" };
    this.host = new Seat({ name: "host-0", namespace, ...where });
  }

  static async open(): Promise<Pair> {
    const path = await mkdtemp(join(folder, "pair-"));
    await writeFile(join(path, "formation-secret"), SECRET, { mode: 0o600 });
    const pair = new Pair(path);
    const node = await pair.host.start([`peat-mesh-0@${POD_ADDRESS}:11204`]);
    await node.ready();
    return pair;
  }

  startContainer(image: string): Promise<Container> {
    return Container.start({
      podman,
      image,
      name: "peat-mesh-0",
      namespace: this.pod,
      dataDir: join(this.#folder, "data"),
      env: {
        PEAT_FORMATION_SECRET: SECRET,
        HOSTNAME: "peat-mesh-0",
        PEAT_NODE_ID: "peat-mesh-0",
        PEAT_DISCOVERY: "static",
        PEAT_STATIC_PEERS: `host-0@${HOST_ADDRESS}:11204`,
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    this.pod[Symbol.dispose]();
  }
}

beforeAll(async () => {
  if (missing !== undefined || "missing" in bases) return;
  await addonLibrary();
  folder = await mkdtemp(join(tmpdir(), "peat-image-test-"));
  podman = await Podman.open();
  await importBases(podman, bases);
  await buildImage(podman, "image", PLAIN);
  await buildImage(podman, "debug", DEBUG);
  root = await podman.run("image", "mount", PLAIN);
}, 900_000);

afterAll(async () => {
  if (missing !== undefined) return;
  await podman[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

describe.skipIf(missing !== undefined)(`the image (${missing ?? "podman"})`, () => {
  test("says what it is, and runs as a user that is known by number", async () => {
    const config = JSON.parse(await podman.inspect(PLAIN, "{{json .Config}}"));
    const { version } = await readPackageJson();
    expect(config.User).toBe("65532:65532");
    expect(config.Entrypoint).toEqual(["/usr/bin/peat-mesh-node"]);
    expect(new Set(Object.keys(config.ExposedPorts))).toEqual(new Set(["11204/udp", "8081/tcp"]));
    expect(config.Labels["org.opencontainers.image.version"]).toBe(version);
    expect(config.Labels["org.opencontainers.image.revision"]).toBe(commitOfCheckout());
    expect(config.Labels["org.opencontainers.image.base.name"]).toBe(RUNTIME);
    expect(config.Env).toContain(`NAPI_RS_NATIVE_LIBRARY_PATH=${ADDON_PATH}`);
  });

  test("adds the executable, its second name, the addon and the license to its base, and no more", async () => {
    const base = new Set(filesBelow(await podman.run("image", "mount", RUNTIME)));
    const added = filesBelow(root).filter((path) => !base.has(path));
    const ours = ["usr/bin/peat-mesh-node", "usr/bin/peat-sidecar", ADDON_PATH.slice(1)];
    const license = "usr/share/doc/peat-sidecar/LICENSE";
    expect(new Set(added)).toEqual(new Set([...ours, license].map((path) => `/${path}`)));
    expect(await readlink(join(root, "usr/bin/peat-mesh-node"))).toBe("peat-sidecar");
    expect(
      [...base, ...added].filter((path) => /bin\/(?:sh|bash|dash|busybox)$/.test(path)),
    ).toEqual([]);
  });

  test("has the addon that asks no router, once, where its user can't change it", async () => {
    const addon = await readFile(join(root, ADDON_PATH));
    expect(addon.equals(quieten(await Bun.file(await addonLibrary()).bytes()))).toBe(true);
    const executable = await readFile(join(root, "usr/bin/peat-sidecar"));
    const piece = addon.subarray(addon.length >> 1, (addon.length >> 1) + 64);
    expect(addon.indexOf(piece)).toBeGreaterThan(0);
    expect(executable.includes(piece)).toBe(false);
    const find = ["find", join(root, "usr"), "(", "-uid", "65532", "-o", "-perm", "/022", ")"];
    const changeable = Bun.spawnSync([...find, "!", "-type", "l"]).stdout.toString();
    expect(changeable).toBe("");
  });

  test("is the same when its files were laid out elsewhere and no network is there", async () => {
    const files = join(folder, "files");
    await layOut({ target: hostTarget(), library: await addonLibrary(), folder: files });
    const tag = "localhost/peat-mesh-node:files";
    await buildFromFiles(podman, files, tag);
    const other = await podman.run("image", "mount", tag);
    for (const path of ["usr/bin/peat-sidecar", ADDON_PATH]) {
      const [a, b] = [await readFile(join(root, path)), await readFile(join(other, path))];
      expect(a.equals(b)).toBe(true);
    }
    const config = "{{json .Config}}";
    expect(await podman.inspect(tag, config)).toBe(await podman.inspect(PLAIN, config));
  }, 300_000);

  test("is small", async () => {
    const weight = await weighImage({
      podman,
      image: PLAIN,
      runtime: RUNTIME,
      zstdLevel: ZSTD_LEVEL,
    });
    const [unpacked, gzip, zstd] = [weight.unpacked, weight.gzip, weight.zstd].map((b) => b / 1e6);
    console.log(`MB: ${unpacked} unpacked, ${gzip} gzip, ${zstd} zstd at level ${ZSTD_LEVEL}`);
    expect(gzip).toBeLessThan(GZIP_MB_MAX);
    expect(zstd).toBeLessThan(ZSTD_MB_MAX);
  }, 900_000);

  test("in its debug target has all the layers of the plain one, and curl besides", async () => {
    const layersOf = async (image: string): Promise<string[]> =>
      JSON.parse(await podman.inspect(image, "{{json .RootFS.Layers}}"));
    const [plain, debug] = [await layersOf(PLAIN), await layersOf(DEBUG)];
    expect(debug.slice(0, plain.length)).toEqual(plain);
    expect(debug.length).toBe(plain.length + 1);
  });
});

describe.skipIf(unable !== undefined)(`a container of it (${unable ?? "podman"})`, () => {
  test("is the first process, without rights or a place to write but its data", async () => {
    await using pair = await Pair.open();
    await using container = await pair.startContainer(PLAIN);
    await container.ready();
    const status = await container.processStatus();
    expect(status.get("NSpid")?.split("\t").at(-1)).toBe("1");
    expect(status.get("Name")).toBe("peat-mesh-node");
    expect(status.get("Uid")?.split("\t")).toEqual(Array(4).fill("65532"));
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) {
      expect(Number.parseInt(status.get(set) ?? "1", 16)).toBe(0);
    }
    expect(status.get("NoNewPrivs")).toBe("1");
    expect(status.get("Seccomp")).toBe("2");
    expect(container.text).not.toMatch(/ (?:ERROR|WARN) .*(?:read-only|EROFS|permission)/i);
  }, 180_000);

  test("syncs with a node of the host, both ways, and keeps what it has through a restart", async () => {
    await using pair = await Pair.open();
    const first = await pair.startContainer(PLAIN);
    await first.ready();
    const { api } = pair.host.node;
    await api.put("tracks", "from-host", { speed: 1 });
    const path = "/api/v1/documents/tracks/from-host";
    await waitFor("the host's document in the container", 60_000, async () => {
      const { code, stdout } = await first.exec("peat-mesh-node", "get", path);
      return (code === 0 && stdout.includes('"speed":1')) || undefined;
    });
    const url = "http://127.0.0.1:8081/api/v1/documents/tracks/from-pod";
    const body = ["-H", "content-type: application/json", "-d", '{"speed":2}'];
    pair.pod.read(["curl", "-sSf", "-X", "PUT", url, ...body]);
    const arrived = await waitFor("the container's document on the host", 60_000, () =>
      api.get("tracks", "from-pod"),
    );
    expect(arrived).toMatchObject({ speed: 2 });
    expect(first.text).toContain("Peer connected to Iroh");

    expect((await first.stop()).code).toBe(0);
    await pair.host.stop();
    await using again = await pair.startContainer(PLAIN);
    await again.ready();
    expect((await again.exec("peat-mesh-node", "get", path)).stdout).toContain('"speed":1');
  }, 240_000);

  test("answers get and health as curl is answered in the debug image", async () => {
    await using pair = await Pair.open();
    await using container = await pair.startContainer(DEBUG);
    await container.ready();
    for (const route of ["health", "ready", "node"]) {
      const path = `/api/v1/${route}`;
      const curl = await container.exec("curl", "-sf", `localhost:8081${path}`);
      const get = await container.exec("peat-mesh-node", "get", path);
      expect([curl.code, get.code]).toEqual([0, 0]);
      // Times of the answer differ, nothing else does.
      const keys = (text: string) => Object.keys(JSON.parse(text));
      expect(keys(get.stdout)).toEqual(keys(curl.stdout));
      expect(JSON.parse(get.stdout).node_id).toBe("peat-mesh-0");
    }
    await podman.run("healthcheck", "run", "peat-mesh-0");
    const refused = await container.exec("peat-mesh-node", "get", "/api/v1/nowhere");
    expect(refused.code).toBe(1);
    const nobody = ["peat-mesh-node", "get", "/", "--url", "http://127.0.0.1:9"];
    expect((await container.exec(...nobody)).code).toBe(75);
  }, 180_000);

  test("stops on SIGTERM as the first process, at work and while it starts", async () => {
    await using pair = await Pair.open();
    const ready = await pair.startContainer(PLAIN);
    await ready.ready();
    await ready.until("Peer connected to Iroh");
    const atWork = await ready.stop();
    expect(ready.text).toContain("peat-mesh-node stopped");
    const starting = await pair.startContainer(PLAIN);
    const early = await starting.stop();
    const show = ({ ms }: { ms: number }) => `${(ms / 1000).toFixed(2)} s`;
    console.log(`SIGTERM to the end, podman's part included: ${show(atWork)}, ${show(early)}`);
    expect([atWork.code, early.code]).toEqual([0, 0]);
    // The aim is two seconds; a machine with other work gets several times that.
    expect(Math.max(atWork.ms, early.ms)).toBeLessThan(15_000);
  }, 180_000);
});
