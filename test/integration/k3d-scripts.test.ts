// The scripts for k3d with stand-ins for k3d, docker, helm, kubectl and curl that record how they are called,
// and answer as a test says. What the scripts verify is tried on a real cluster by the kubernetes tests.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const STAND_INS = ["k3d", "docker", "helm", "kubectl", "curl"] as const;
const SCRIPTS = join(projectDir, "scripts");

/** Shell text behind a pattern of `case`, matched with a whole call: "helm status peat-mesh *". */
type Answers = Readonly<Record<string, string>>;

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder[Symbol.dispose]());

function makeStandIns(answers: Answers, tools: readonly string[] = STAND_INS): string {
  const bin = folder.file("bin");
  mkdirSync(bin);
  const cases = Object.entries(answers).map(([pattern, text]) => `${pattern}) ${text} ;;`);
  const script = [
    "#!/bin/bash",
    'call="$(basename "$0") $*"',
    `printf '%s\\n' "$call" >> ${folder.file("calls")}`,
    // What comes by standard input is kept apart: the secret.
    `case "$call" in "helm upgrade "*) cat >> ${folder.file("values")} ;; esac`,
    'case "$call" in',
    ...cases,
    "esac",
  ].join("\n");
  writeFileSync(join(bin, "stand-in"), script);
  chmodSync(join(bin, "stand-in"), 0o755);
  for (const tool of tools) symlinkSync("stand-in", join(bin, tool));
  return bin;
}

interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly string[];
  /** What helm got by standard input. */
  readonly values: string;
}

function run(script: string, args: readonly string[], bin: string): Ran {
  const environment = { PATH: `${bin}:/usr/bin:/bin`, HOME: folder.path };
  const ran = Bun.spawnSync([join(SCRIPTS, script), ...args], {
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 60_000,
  });
  const read = (name: string) =>
    existsSync(folder.file(name)) ? readFileSync(folder.file(name), "utf8") : "";
  return {
    exitCode: ran.exitCode,
    stdout: ran.stdout.toString(),
    stderr: ran.stderr.toString(),
    calls: read("calls")
      .split("\n")
      .filter((call) => call !== ""),
    values: read("values"),
  };
}

const changes = (calls: readonly string[]) =>
  calls.filter((call) => !/^(?:k3d cluster get|helm status|docker network inspect)/.test(call));

const NOTHING_THERE: Answers = {
  '"k3d cluster get "*': "exit 1",
  '"helm status "*': "exit 1",
  '"docker network inspect "*': "exit 1",
};
const BUILD = "docker build -t peat-mesh-node:latest -f deploy/Dockerfile .";
const SECRET_LINE = /^formationSecret: "[A-Za-z0-9+/]{43}="$/;

describe("k3d-up", () => {
  test("makes the guide's cluster: build, create, import, install", () => {
    const { exitCode, calls, values } = run("k3d-up", [], makeStandIns(NOTHING_THERE));
    expect(exitCode).toBe(0);
    expect(changes(calls)).toEqual([
      BUILD,
      "k3d cluster create peat-alpha",
      "k3d image import peat-mesh-node:latest -c peat-alpha",
      "helm upgrade --install peat-mesh deploy/helm/peat-mesh --kube-context k3d-peat-alpha --values - --set replicaCount=3",
      "kubectl --context k3d-peat-alpha rollout status statefulset/peat-mesh --timeout=120s",
    ]);
    expect(values.trim()).toMatch(SECRET_LINE);
  });

  test("no secret is ever part of a command line", () => {
    const { calls, values } = run("k3d-up", [], makeStandIns(NOTHING_THERE));
    const secret = /"(.*)"/.exec(values)?.[1] ?? "";
    expect(secret).not.toBe("");
    expect(calls.join("\n")).not.toContain(secret);
  });

  test("takes a cluster that is there, keeps its secret, and restarts its pods for the new image", () => {
    const { exitCode, calls, values } = run("k3d-up", ["peat-test", "5"], makeStandIns({}));
    expect(exitCode).toBe(0);
    expect(changes(calls)).toEqual([
      BUILD,
      "k3d cluster start peat-test",
      "k3d image import peat-mesh-node:latest -c peat-test",
      "helm upgrade --install peat-mesh deploy/helm/peat-mesh --kube-context k3d-peat-test --values - --set replicaCount=5",
      "kubectl --context k3d-peat-test rollout restart statefulset/peat-mesh",
      "kubectl --context k3d-peat-test rollout status statefulset/peat-mesh --timeout=120s",
    ]);
    expect(values.trim()).toBe("");
  });

  test("says which tools are missing before it does anything", () => {
    const bin = makeStandIns(NOTHING_THERE, ["docker", "kubectl"]);
    const tools = tempFolder();
    for (const tool of ["dirname", "bash"]) symlinkSync(Bun.which(tool) ?? tool, tools.file(tool));
    const ran = Bun.spawnSync(["/bin/bash", join(SCRIPTS, "k3d-up")], {
      env: { PATH: `${bin}:${tools.path}` },
      stdout: "pipe",
      stderr: "pipe",
    });
    tools[Symbol.dispose]();
    expect([ran.exitCode, ran.stderr.toString()]).toEqual([
      1,
      "FAIL: install these first: k3d helm openssl\n",
    ]);
    expect(existsSync(folder.file("calls"))).toBe(false);
  });
});

describe("k3d-functional-test", () => {
  test("deletes its cluster when something fails, and fails", () => {
    const bin = makeStandIns({ ...NOTHING_THERE, '"helm upgrade "*': "exit 1" });
    const { exitCode, calls } = run("k3d-functional-test", [], bin);
    expect(exitCode).toBe(1);
    const [create = ""] = calls;
    expect(create).toMatch(/^k3d cluster create peat-test-\d+ --no-lb$/);
    const cluster = create.split(" ")[3];
    expect(calls.slice(1)).toEqual([
      BUILD,
      `k3d image import peat-mesh-node:latest -c ${cluster}`,
      `helm upgrade --install peat-mesh deploy/helm/peat-mesh --kube-context k3d-${cluster} --values - --set replicaCount=3 --set image.pullPolicy=Never`,
      `k3d cluster delete ${cluster}`,
    ]);
  });
});

describe("k3d-federation-up", () => {
  const ADDRESSES: Answers = {
    ...NOTHING_THERE,
    '"docker inspect k3d-peat-alpha-server-0 "*': "echo 172.20.0.3",
    '"docker inspect k3d-peat-bravo-server-0 "*': "echo 172.20.0.5",
  };
  const install = (cluster: string, name: string, peer: string) =>
    `helm upgrade --install peat-mesh deploy/helm/peat-mesh --kube-context k3d-${cluster} --values - --set replicaCount=2 --set clusterName=${name} --set gateway.enabled=true --set gateway.nodePorts={31204} --set gateway.staticPeers={${peer}} --set brokerService.enabled=true --set brokerService.type=LoadBalancer`;
  const rollout = (cluster: string, name: string) =>
    `kubectl --context k3d-${cluster} rollout status statefulset/${name} --timeout=120s`;

  test("joins the guide's two clusters on its network, each gateway dialling the other's node port", () => {
    const { exitCode, calls, values } = run("k3d-federation-up", [], makeStandIns(ADDRESSES));
    expect(exitCode).toBe(0);
    expect(changes(calls).filter((call) => !call.startsWith("docker inspect "))).toEqual([
      "docker network create peat-federation",
      BUILD,
      "k3d cluster create peat-alpha --network peat-federation -p 8081:8081@server:0",
      "k3d cluster create peat-bravo --network peat-federation -p 8082:8081@server:0",
      "k3d image import peat-mesh-node:latest -c peat-alpha",
      "k3d image import peat-mesh-node:latest -c peat-bravo",
      install("peat-alpha", "alpha", "peat-mesh-gateway-0.bravo@172.20.0.5:31204"),
      install("peat-bravo", "bravo", "peat-mesh-gateway-0.alpha@172.20.0.3:31204"),
      rollout("peat-alpha", "peat-mesh"),
      rollout("peat-alpha", "peat-mesh-gateway"),
      rollout("peat-bravo", "peat-mesh"),
      rollout("peat-bravo", "peat-mesh-gateway"),
    ]);
    const [first, second] = values.trim().split("\n");
    expect(first).toMatch(SECRET_LINE);
    expect(second).toBe(first);
  });

  test("a cluster that joins later gets the secret of the one that is there", () => {
    const secret = Buffer.from("the-secret-of-alpha").toString("base64");
    const bin = makeStandIns({
      '"helm status peat-mesh --kube-context k3d-peat-bravo"': "exit 1",
      ...ADDRESSES,
      '"helm status "*': "true",
      '"kubectl --context k3d-peat-alpha get secret peat-mesh "*': `echo ${secret}`,
    });
    const { exitCode, values } = run("k3d-federation-up", [], bin);
    expect(exitCode).toBe(0);
    expect(values).toBe('formationSecret: "the-secret-of-alpha"\n'.repeat(2));
  });

  test("a server without an address is told of", () => {
    const { exitCode, stderr } = run("k3d-federation-up", [], makeStandIns(NOTHING_THERE));
    expect(exitCode).toBe(1);
    expect(stderr).toContain("k3d-peat-bravo-server-0 has no address");
  });

  test("the cross-cluster test asks both brokers, and deletes what was not there before", () => {
    const answers = {
      ...ADDRESSES,
      '"curl "*8081*': `echo '{"status":"healthy"}'`,
      '"curl "*': "exit 7",
    };
    const { exitCode, stdout, stderr, calls } = run(
      "k3d-cross-cluster-test",
      [],
      makeStandIns(answers),
    );
    expect(exitCode).toBe(1);
    expect(stdout).toContain("OK: broker at localhost:8081");
    expect(stderr).toContain("FAIL: the broker at localhost:8082 is not healthy");
    expect(calls.slice(-3)).toEqual([
      "k3d cluster delete peat-alpha",
      "k3d cluster delete peat-bravo",
      "docker network rm peat-federation",
    ]);
  });

  test("the cross-cluster test deletes nothing that it did not make, nor anything with --keep", () => {
    const keepsAll = { ...ADDRESSES, '"curl "*': "exit 7" };
    const kept = run("k3d-cross-cluster-test", ["--keep"], makeStandIns(keepsAll));
    expect(kept.calls.filter((call) => / (?:delete|rm) /.test(call))).toEqual([]);
    folder[Symbol.dispose]();
    folder = tempFolder();
    const bin = makeStandIns({ '"k3d cluster get peat-alpha"': "true", ...keepsAll });
    const { calls } = run("k3d-cross-cluster-test", [], bin);
    expect(calls.filter((call) => / (?:delete|rm) /.test(call))).toEqual([
      "k3d cluster delete peat-bravo",
    ]);
  });
});

/** A cluster of one script: pods whose answers are files, and whose ids change when they are deleted. */
function makeMesh(overrides: {
  readonly health?: string;
  readonly log?: string;
  readonly next?: string;
}) {
  const log = overrides.log ?? "";
  const text = [
    "INFO peat_mesh_node: Mesh started node_id=n device_id=d1",
    "INFO x: Peer connected to Iroh peer=a",
    "INFO x: Peer connected to Iroh peer=b",
    "INFO x: Iroh blob store ready (blobs + automerge sync)",
    log,
  ].join("\n");
  writeFileSync(folder.file("log"), `${text}\n`);
  const health = overrides.health ?? '{"status":"healthy","node_id":"n"}';
  const next = overrides.next ?? "d1";
  const log0 = folder.file("log");
  return makeStandIns({
    '*" get pod peat-mesh-"*"conditions"*': "echo True",
    '*" get pod peat-mesh-"*"podIP"*': "echo fd00::7",
    '*" get pod peat-mesh-"*"containerPort"*': "echo 8081",
    '*" get pod peat-mesh-0 "*"uid"*': `grep -c " delete pod " ${folder.file("calls")} || true`,
    '*" delete pod peat-mesh-0"': `sed -i s/device_id=d1/device_id=${next}/ ${log0}`,
    '*" exec "*"get /api/v1/health"': `echo '${health}'`,
    '*" logs "*': `cat ${log0}`,
  });
}

describe("verify-functional", () => {
  const verify = (bin: string, ...args: readonly string[]) =>
    run("verify-functional", ["--context", "c", "--patience", "2", ...args], bin);

  test("passes a mesh in which everything holds, in the guide's words", () => {
    const { exitCode, stdout, stderr, calls } = verify(makeMesh({}));
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n")).toEqual([
      "OK: All pods healthy",
      "OK: All pods discovered peers via Iroh",
      "OK: Automerge sync stack active on all pods",
      "OK: A document written on peat-mesh-0 is read on peat-mesh-2",
      "OK: Deterministic identity stable across restart",
      "OK: No error lines",
      "PASS: All functional checks passed",
      "",
    ]);
    expect(calls).toContain(
      "kubectl --context c --namespace default exec peat-mesh-0 -c peat-mesh -- peat-mesh-node probe-sync --read http://[fd00::7]:8081 --timeout 2",
    );
    expect(calls.filter((call) => call.includes(" delete "))).toEqual([
      "kubectl --context c --namespace default delete pod peat-mesh-0",
    ]);
  });

  test.each([
    [{ health: '{"status":"sick"}' }, "peat-mesh-0 unhealthy"],
    [{ log: "ERROR peat_mesh: something" }, "peat-mesh-0 has error lines"],
    [{ next: "d2" }, "device_id changed after restart: device_id=d1, then device_id=d2"],
  ])("%p fails it", (overrides, sentence) => {
    const { exitCode, stdout, stderr } = verify(makeMesh(overrides));
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`FAIL: ${sentence}`);
    expect(stdout).not.toContain("PASS");
  });

  test("peers that are not found are waited for, and not for ever", () => {
    const { exitCode, stderr } = verify(makeMesh({}), "--replicas", "4");
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      "waited 2 s in vain for 3 lines 'Peer connected to Iroh' of peat-mesh-0",
    );
  });

  test.each([
    [[]],
    [["--context"]],
    [["--context", "c", "--colour", "red"]],
    [["--context", "c", "--replicas", "0"]],
    [["--context", "c", "--patience", "soon"]],
  ])("%p is answered with its usage", (args) => {
    const { exitCode, stderr } = run("verify-functional", args, makeMesh({}));
    expect(exitCode).toBe(64);
    expect(stderr).toContain("usage: ");
  });
});

describe("verify-cross-cluster", () => {
  test("needs two different contexts", () => {
    const bin = makeStandIns({});
    expect(run("verify-cross-cluster", ["--context", "a"], bin).exitCode).toBe(64);
    const same = run("verify-cross-cluster", ["--context", "a", "--context", "a"], bin);
    expect(same.stderr).toContain("the two contexts are the same: a");
  });

  test("a document that does not cross fails it, and is deleted again", () => {
    const bin = makeStandIns({
      '*" get pods "*': "echo peat-mesh-0",
      '*" get pod "*': "echo True",
      '*" peat-mesh-node get "*': "exit 1",
    });
    const args = ["--context", "a", "--context", "b", "--patience", "1"];
    const { exitCode, stderr, calls } = run("verify-cross-cluster", args, bin);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/waited 1 s in vain for from-first-\S+ at peat-mesh-0 of b/);
    const told = calls
      .filter((call) => / (?:put|delete) /.test(call))
      .map((call) => call.split(" ")[2]);
    expect(told).toEqual(["a", "a"]);
    expect(calls.at(-1)).toContain(
      "peat-mesh-node delete /api/v1/documents/cross-cluster/from-first-",
    );
  });
});

const shellcheck = Bun.which("shellcheck");
test.skipIf(shellcheck === null)("shellcheck finds nothing (needs shellcheck)", () => {
  const scripts = readdirSync(SCRIPTS).filter((name) => /^(?:k3d|verify)-/.test(name));
  expect(scripts.length).toBeGreaterThanOrEqual(8);
  const ran = Bun.spawnSync(
    ["shellcheck", "-x", ".ci/run", ...scripts.map((name) => `scripts/${name}`)],
    {
      cwd: projectDir,
      stdout: "pipe",
    },
  );
  expect(ran.stdout.toString()).toBe("");
});
