// The kubelet of the tests does what the other tests take for granted: limits bite, probes decide, logs and exec are real.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Cluster, clusterMissing, loneNode } from "../support/cluster/cluster.ts";
import type { ContainerStatus, Pod } from "../support/cluster/objects.ts";

const STEP_LIMIT_MS = 240_000;
const SEEN_LIMIT_MS = 60_000;
const BUN = "/usr/bin/bun";

const missing = await clusterMissing();

describe.skipIf(missing !== undefined)(`the kubelet of the tests (${missing ?? "root"})`, () => {
  const resources = new AsyncDisposableStack();
  let cluster: Cluster;

  beforeAll(async () => {
    const node = resources.use(loneNode("kubelet", "172.31.0.2"));
    // Bun itself is the program of these pods: a script each.
    const image = {
      entrypoint: [BUN, "-e"],
      user: 65_532,
      env: {},
      files: { [BUN]: process.execPath },
    };
    const images = { "script:latest": image };
    const options = { name: "kubelet", node, address: "172.31.0.2", images };
    cluster = resources.use(await Cluster.start(options));
  }, STEP_LIMIT_MS);

  afterAll(() => resources.disposeAsync(), STEP_LIMIT_MS);

  function run(name: string, script: string, container: object = {}, spec: object = {}): void {
    const image = { image: "script:latest", imagePullPolicy: "Never", name: "main" };
    cluster.plane.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { containers: [{ ...image, args: [script], ...container }], ...spec },
    });
  }

  function pod(name: string): Pod {
    return JSON.parse(cluster.kubectl("get", "pod", name, "-o=json")) as Pod;
  }

  async function status(
    name: string,
    isIt: (status: ContainerStatus) => boolean,
  ): Promise<ContainerStatus> {
    return await waitFor(`that state of ${name}`, SEEN_LIMIT_MS, () => {
      const [one] = pod(name).status?.containerStatuses ?? [];
      return one !== undefined && isIt(one) ? one : undefined;
    });
  }

  test(
    "a container that takes more memory than its limit is killed for it",
    async () => {
      const greedy = "const all = []; while (true) all.push(Buffer.alloc(1 << 20, all.length));";
      const resources = { limits: { memory: "128Mi" } };
      run("greedy", greedy, { resources }, { restartPolicy: "Never" });
      const { state } = await status("greedy", (one) => one.state.terminated !== undefined);
      expect(state.terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
    },
    STEP_LIMIT_MS,
  );

  test(
    "a container that wants more processor time than its limit is slowed down to it",
    async () => {
      const busy = `
        const startedMs = performance.now();
        while (performance.now() - startedMs < 3000);
        const { user, system } = process.cpuUsage();
        console.log((user + system) / 1000 / (performance.now() - startedMs));`;
      const resources = { limits: { cpu: "200m" } };
      run("busy", busy, { resources }, { restartPolicy: "Never" });
      await status("busy", (one) => one.state.terminated !== undefined);
      const share = Number(cluster.kubectl("logs", "busy"));
      console.log(`with a limit of 0.2 processors: ${share.toFixed(2)} used`);
      // A whole one is what it would take.
      expect(share).toBeLessThan(0.5);
    },
    STEP_LIMIT_MS,
  );

  test(
    "probes decide who is ready and who is started again, and the log of the run before can be read",
    async () => {
      const server = `
        let good = true;
        console.log("started by " + process.pid);
        Bun.serve({ port: 8000, fetch(request) {
          if (request.method === "POST") good = false;
          return new Response("", { status: good ? 200 : 500 });
        } });`;
      const probe = {
        httpGet: { port: 8000 },
        periodSeconds: 1,
        timeoutSeconds: 5,
        failureThreshold: 2,
      };
      const startupProbe = { ...probe, failureThreshold: 60 };
      const probes = { startupProbe, livenessProbe: probe, readinessProbe: probe };
      // The first process of a pid namespace that has no answer to SIGTERM does not end by it.
      run("probed", server, probes, { terminationGracePeriodSeconds: 1 });
      await status("probed", (one) => one.ready);
      const spoil = 'await fetch("http://localhost:8000", { method: "POST" })';
      cluster.kubectl("exec", "probed", "--", BUN, "-e", spoil);
      const again = await status("probed", (one) => one.restartCount >= 1 && one.ready);
      expect(again.lastState.terminated).toBeDefined();
      // The first process of a pid namespace of its own, both times.
      expect(cluster.kubectl("logs", "--previous", "probed")).toBe("started by 1\n");
      expect(cluster.kubectl("logs", "probed")).toBe("started by 1\n");
    },
    STEP_LIMIT_MS,
  );

  test(
    "logs can be followed, and a command's input, output and exit status pass through exec",
    async () => {
      run("talker", "let n = 0; setInterval(() => console.log('line ' + n++), 200);");
      await status("talker", (one) => one.ready);
      const command = cluster.plane.kubectlCommand("logs", "-f", "--tail=2", "talker");
      const follower = Bun.spawn(command, { stdout: "pipe" });
      let followed = "";
      for await (const chunk of follower.stdout) {
        followed += Buffer.from(chunk).toString();
        if (followed.split("\n").length > 6) break;
      }
      follower.kill();
      expect(followed).toMatch(/^line \d+\nline \d+\n/);
      const echo = "process.stdout.write((await Bun.stdin.text()).toUpperCase()); process.exit(7)";
      const exec = cluster.plane.kubectlCommand("exec", "-i", "talker", "--", BUN, "-e", echo);
      const child = Bun.spawnSync(exec, { stdin: Buffer.from("heard"), stdout: "pipe" });
      expect([child.stdout.toString(), child.exitCode]).toEqual(["HEARD", 7]);
    },
    STEP_LIMIT_MS,
  );

  test(
    "a pod sees its own root, its own addresses and its own rights, and nothing of the machine's",
    async () => {
      const look = `
        import { networkInterfaces } from "node:os";
        import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
        const account = "/var/run/secrets/kubernetes.io/serviceaccount";
        let isWritable = true;
        try { writeFileSync("/written", ""); } catch { isWritable = false; }
        console.log(JSON.stringify({
          user: process.getuid(), root: readdirSync("/").sort(), isWritable,
          interfaces: Object.keys(networkInterfaces()).sort(),
          account: readdirSync(account).sort(),
          api: process.env.KUBERNETES_SERVICE_HOST,
          hasShell: existsSync("/bin/sh"),
          processes: readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)),
          answer: (await fetch("https://kubernetes.default.svc/api/v1/namespaces/default/pods", {
            headers: { authorization: "Bearer " + readFileSync(account + "/token", "utf8") },
            tls: { ca: readFileSync(account + "/ca.crt", "utf8") },
          })).status,
        }));`;
      const securityContext = { readOnlyRootFilesystem: true };
      run("looker", look, { securityContext }, { restartPolicy: "Never" });
      await status("looker", (one) => one.state.terminated !== undefined);
      expect(JSON.parse(cluster.kubectl("logs", "looker"))).toEqual({
        user: 65_532,
        root: ["dev", "etc", "lib", "lib64", "proc", "tmp", "usr", "var"],
        isWritable: false,
        interfaces: ["eth0", "lo"],
        account: ["ca.crt", "namespace", "token"],
        api: "10.96.0.1",
        hasShell: false,
        processes: ["1"],
        answer: 403,
      });
    },
    STEP_LIMIT_MS,
  );

  test(
    "init containers run first, and variables come from secrets, config maps, fields and each other",
    async () => {
      cluster.kubectl("create", "secret", "generic", "hidden", "--from-literal=word=secret");
      cluster.kubectl("create", "configmap", "open", "--from-literal=word=public");
      const mounts = { volumeMounts: [{ name: "shared", mountPath: "/shared" }] };
      const image = { image: "script:latest", imagePullPolicy: "Never", ...mounts };
      const prepare = 'await Bun.write("/shared/made", "before")';
      const env = [
        { name: "HIDDEN", valueFrom: { secretKeyRef: { name: "hidden", key: "word" } } },
        { name: "OPEN", valueFrom: { configMapKeyRef: { name: "open", key: "word" } } },
        { name: "OWN", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "ALL", value: "$(HIDDEN) $(OPEN) $(OWN) $$(OWN)" },
      ];
      const print = 'console.log(process.env.ALL, await Bun.file("/shared/made").text())';
      run(
        "prepared",
        print,
        { env, ...mounts },
        {
          restartPolicy: "Never",
          volumes: [{ name: "shared", emptyDir: {} }],
          initContainers: [{ name: "prepare", args: [prepare], ...image }],
        },
      );
      await status("prepared", (one) => one.state.terminated !== undefined);
      const printed = cluster.kubectl("logs", "prepared", "-c", "main");
      expect(printed).toBe("secret public prepared $(OWN) before\n");
      expect(pod("prepared").status?.phase).toBe("Succeeded");
    },
    STEP_LIMIT_MS,
  );

  test(
    "a pod that is deleted has its grace period, and not more",
    async () => {
      const deaf =
        "process.on('SIGTERM', () => console.log('asked')); setInterval(() => {}, 1000);";
      run("deaf", deaf, {}, { terminationGracePeriodSeconds: 2 });
      await status("deaf", (one) => one.ready);
      const startedMs = performance.now();
      cluster.kubectl("delete", "pod", "deaf");
      const tookMs = performance.now() - startedMs;
      console.log(`gone after ${(tookMs / 1000).toFixed(1)} s of which 2 s are grace`);
      expect(tookMs).toBeGreaterThan(1900);
      expect(cluster.kubectl("get", "pods", "-o=name")).not.toContain("pod/deaf");
    },
    STEP_LIMIT_MS,
  );
});
