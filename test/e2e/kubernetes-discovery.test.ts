// Discovery against a real API server: what is found, how soon, and what outlives which mishap.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { KubernetesClient } from "../../src/discovery/kubernetes-client.ts";
import { RequestFailure, type SliceApi } from "../../src/discovery/kubernetes-watch.ts";
import { ControlPlane, controlPlaneMissing } from "../support/cluster/control-plane.ts";
import { FoundPeers } from "../support/kubernetes/found-peers.ts";
import { grantDiscovery } from "../support/kubernetes/rights.ts";
import { SliceWriter } from "../support/kubernetes/slice-writer.ts";
import { tempFolder } from "../support/temp-folder.ts";

const missing = await controlPlaneMissing();
const PLANE_LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 180_000;

/** Lets the store forget every version but the newest. */
async function compact({ etcdUrl }: ControlPlane): Promise<void> {
  const call = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const request = { method: "POST", body: JSON.stringify(body) };
    const answer = await fetch(`${etcdUrl}/v3/kv/${path}`, request);
    if (!answer.ok) throw new Error(`etcd answers ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  const { header } = await call("range", { key: btoa("/") });
  await call("compaction", { revision: (header as { revision: string }).revision, physical: true });
}

/** Time that passes `factor` times as fast, for what takes half a minute otherwise. */
function fastClock(factor: number): Clock {
  return {
    ...systemClock,
    monotonic: () => systemClock.monotonic() * factor,
    after: (delayMs, run) => systemClock.after(delayMs / factor, run),
  };
}

const ms = (figure: number) => `${figure.toFixed(0)} ms`;

describe.skipIf(missing !== undefined)(
  `discovery by a real API server${missing === undefined ? "" : ` [skipped: ${missing}]`}`,
  () => {
    let plane: ControlPlane;
    let slices: SliceWriter;
    let kubeconfig: string;
    beforeAll(async () => {
      plane = await ControlPlane.start({ controllers: false });
      slices = new SliceWriter(plane);
      plane.kubectl("create", "serviceaccount", "peat-mesh");
      grantDiscovery(plane, "peat-mesh");
      kubeconfig = plane.writeTokenKubeconfig("peat-mesh", plane.token("peat-mesh"));
    }, PLANE_LIMIT_MS);
    afterAll(async () => {
      await plane?.[Symbol.asyncDispose]();
    });

    const pod = (name: string, ...addresses: readonly string[]) => ({ pod: name, addresses });

    test(
      "finds the pods of all slices with the label, and tells of each change at once",
      async () => {
        await slices.put({
          name: "mesh-a",
          pods: [pod("peat-mesh-0", "10.42.0.1"), pod("peat-mesh-1", "10.42.0.2")],
        });
        await slices.put({
          name: "mesh-v6",
          addressType: "IPv6",
          pods: [{ ...pod("peat-mesh-1", "fd00:42::2"), isReady: false }],
        });
        await slices.put({
          name: "other",
          labels: { app: "other" },
          pods: [pod("x", "10.42.0.9")],
        });
        await slices.put({
          name: "names",
          addressType: "FQDN",
          pods: [{ addresses: ["peer.example.org"] }],
        });
        await using found = new FoundPeers({ kubeconfig });
        const first = { "peat-mesh-1": "10.42.0.2:11204 [fd00:42::2]:11204" };
        const listed = await found.are(first);

        await slices.put({
          name: "mesh-b",
          annotations: { "peat.relay_url": "https://relay.example:444" },
          ports: [
            { name: "broker", port: 8081, protocol: "TCP" },
            { name: "other", port: 9, protocol: "UDP" },
          ],
          pods: [pod("peat-mesh-2", "10.42.0.3")],
        });
        const seen = await found.are({
          ...first,
          "peat-mesh-2": "10.42.0.3:9 https://relay.example:444",
        });
        await slices.put({ name: "mesh-b", pods: [pod("peat-mesh-2", "10.42.0.4")] });
        const moved = await found.are({ ...first, "peat-mesh-2": "10.42.0.4:11204" });
        await slices.delete("mesh-b");
        const gone = await found.are(first);
        await slices.delete("mesh-a");
        await found.are({ "peat-mesh-1": "[fd00:42::2]:11204" });
        await slices.delete("mesh-v6");
        await found.are({});
        console.log(
          `discovery: listed in ${ms(listed)}; after the server's answer, a new slice was seen in ${ms(seen)}, a change in ${ms(moved)}, its end in ${ms(gone)}`,
        );
        expect(found.source.trouble).toBeUndefined();
      },
      TEST_LIMIT_MS,
    );

    test(
      "looks in its own namespace, for its own label, and knows its own cluster",
      async () => {
        plane.kubectl("create", "namespace", "elsewhere");
        const [here, there] = [slices, new SliceWriter(plane, "elsewhere")];
        await here.put({ name: "here", pods: [pod("peat-mesh-1", "10.42.0.2")] });
        await there.put({ name: "there", pods: [pod("peat-mesh-0", "10.43.0.1")] });
        await there.put({ name: "more", labels: { tier: "b" }, pods: [pod("more", "10.43.0.2")] });
        const admin = { kubeconfig: plane.kubeconfig, namespace: "elsewhere" };
        await using found = new FoundPeers({ ...admin, clusterName: "bravo" });
        await using labelled = new FoundPeers({ ...admin, selector: "tier in (a, b)" });
        // The pod 0 of another cluster is not this node.
        await found.are({ "peat-mesh-0.bravo": "10.43.0.1:11204" });
        await labelled.are({ more: "10.43.0.2:11204" });
        await here.delete("here");
      },
      TEST_LIMIT_MS,
    );

    test(
      "says that it may not, and begins by itself when it may",
      async () => {
        plane.kubectl("create", "serviceaccount", "newcomer");
        const token = plane.token("newcomer");
        const config = plane.writeTokenKubeconfig("newcomer", token);
        await slices.put({ name: "mesh-a", pods: [pod("peat-mesh-1", "10.42.0.2")] });
        await using found = new FoundPeers({ kubeconfig: config });
        await found.troubled(/answers 403: .*newcomer.* cannot list .*endpointslices/);
        expect(found.isWorking).toBe(false);
        grantDiscovery(plane, "newcomer");
        const begun = await found.working();
        await found.are({ "peat-mesh-1": "10.42.0.2:11204" });
        expect(found.source.trouble).toBeUndefined();
        console.log(`discovery: works ${ms(begun)} after the right was given`);
      },
      TEST_LIMIT_MS,
    );

    test(
      "finds pods by listing where it may not watch",
      async () => {
        plane.kubectl("create", "serviceaccount", "lister");
        grantDiscovery(plane, "lister", ["list"]);
        const config = plane.writeTokenKubeconfig("lister", plane.token("lister"));
        await slices.put({ name: "mesh-a", pods: [pod("peat-mesh-1", "10.42.0.2")] });
        await using found = new FoundPeers({ kubeconfig: config, clock: fastClock(4) });
        await found.are({ "peat-mesh-1": "10.42.0.2:11204" });
        await slices.put({ name: "mesh-a", pods: [pod("peat-mesh-1", "10.42.0.3")] });
        const seen = await found.are({ "peat-mesh-1": "10.42.0.3:11204" });
        expect(found.source.trouble).toBeUndefined();
        console.log(
          `discovery: without watching, a change was seen in ${ms(seen * 4)} of its time`,
        );
      },
      TEST_LIMIT_MS,
    );

    test(
      "says that the selector makes no sense",
      async () => {
        await using found = new FoundPeers({ kubeconfig, selector: "app in peat-mesh)" });
        await found.troubled(/answers 400: .*is 'app in peat-mesh\)' a label selector/);
      },
      TEST_LIMIT_MS,
    );

    test(
      "keeps what it knows while the server is away, and goes on when it is back",
      async () => {
        await slices.put({ name: "mesh-a", pods: [pod("peat-mesh-1", "10.42.0.2")] });
        await using found = new FoundPeers({ kubeconfig });
        await found.are({ "peat-mesh-1": "10.42.0.2:11204" });
        await plane.apiServer.kill();
        const noticed = await found.troubled(/ECONNREFUSED|refused/i);
        await plane.startApiServer();
        await slices.put({
          name: "mesh-a",
          pods: [pod("peat-mesh-1", "10.42.0.2"), pod("peat-mesh-2", "10.42.0.3")],
        });
        const back = await found.are({
          "peat-mesh-1": "10.42.0.2:11204",
          "peat-mesh-2": "10.42.0.3:11204",
        });
        expect(found.departures).toBe(0);
        expect(found.source.trouble).toBeUndefined();
        console.log(
          `discovery: noticed in ${ms(noticed)} that the server was killed; once back, a new pod was seen in ${ms(back)}`,
        );
      },
      TEST_LIMIT_MS,
    );

    test(
      "begins anew where the server has forgotten the version that it asks for",
      async () => {
        await slices.put({ name: "mesh-a", pods: [pod("peat-mesh-1", "10.42.0.2")] });
        // What the server remembers beyond its store goes with its process.
        await compact(plane);
        await plane.apiServer.kill();
        await plane.startApiServer();
        let watches = 0;
        const answers: unknown[] = [];
        // The first watch is asked for from the beginning of the cluster.
        const through = (api: SliceApi): SliceApi => ({
          list: (atLeast, signal) => api.list(atLeast, signal),
          async watch(from, signal) {
            watches += 1;
            if (watches > 1) return await api.watch(from, signal);
            const events = await api.watch("1", signal).catch((error: unknown) => {
              answers.push(error);
              throw error;
            });
            return (async function* () {
              for await (const event of events) {
                answers.push(event);
                yield event;
              }
            })();
          },
        });
        await using found = new FoundPeers({ kubeconfig, through });
        await waitFor("a second watch", 60_000, () => watches > 1 || undefined);
        const [answer] = answers;
        const status =
          answer instanceof RequestFailure
            ? answer.status
            : (answer as { object?: { code?: number } }).object?.code;
        expect(status).toBe(410);
        await slices.put({ name: "mesh-a", pods: [pod("peat-mesh-1", "10.42.0.3")] });
        await found.are({ "peat-mesh-1": "10.42.0.3:11204" });
        expect(found.source.trouble).toBeUndefined();
        expect(found.departures).toBe(0);
      },
      TEST_LIMIT_MS,
    );

    test(
      "begins without a server, and works when there is one",
      async () => {
        await plane.apiServer.kill();
        await using found = new FoundPeers({ kubeconfig });
        await found.troubled(/refused/i);
        expect(found.isWorking).toBe(false);
        await plane.startApiServer();
        await found.working();
      },
      TEST_LIMIT_MS,
    );

    test(
      "notices a server that hangs, and goes on when it does",
      async () => {
        const pods = [pod("peat-mesh-1", "10.42.0.2")];
        await slices.put({ name: "mesh-a", pods });
        await using found = new FoundPeers({ kubeconfig, clock: fastClock(4) });
        await found.are({ "peat-mesh-1": "10.42.0.2:11204" });
        plane.apiServer.signal("SIGSTOP");
        try {
          const noticed = await found.troubled(/no answer within 10 s/);
          console.log(`discovery: noticed in ${ms(noticed * 4)} of its time that the server hung`);
        } finally {
          plane.apiServer.signal("SIGCONT");
        }
        await slices.put({ name: "mesh-a", pods: [...pods, pod("peat-mesh-2", "10.42.0.3")] });
        await found.are({ "peat-mesh-1": "10.42.0.2:11204", "peat-mesh-2": "10.42.0.3:11204" });
        await found.untroubled();
        expect(found.departures).toBe(0);
      },
      TEST_LIMIT_MS,
    );

    test(
      "takes the pod's new token when the old one is not taken any more",
      async () => {
        using folder = tempFolder();
        const account = join(folder.path, "var/run/secrets/kubernetes.io/serviceaccount");
        const bound = (secret: string) => {
          plane.kubectl("create", "secret", "generic", secret);
          const to = ["--bound-object-kind=Secret", `--bound-object-name=${secret}`];
          return plane.kubectl("create", "token", "peat-mesh", ...to).trim();
        };
        const old = bound("first");
        const made = plane.writeServiceAccountFolder("pod", old);
        Bun.spawnSync(["mkdir", "-p", account]);
        Bun.spawnSync(["cp", "-r", `${made}/.`, account]);
        const before = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"].map(
          (name) => [name, process.env[name]] as const,
        );
        Object.assign(process.env, {
          KUBERNETES_SERVICE_HOST: plane.address,
          KUBERNETES_SERVICE_PORT: String(plane.port),
        });
        try {
          const place = { kubeconfig: undefined, namespace: undefined, selector: "app=peat-mesh" };
          const inPod = new KubernetesClient({ ...place, root: folder.path });
          const { signal } = new AbortController();
          expect(inPod.namespace).toBe("default");
          await inPod.list(undefined, signal);
          // What a token is bound to takes it along.
          plane.kubectl("delete", "secret", "first");
          const byOld = new KubernetesClient({
            ...place,
            kubeconfig: plane.writeTokenKubeconfig("old", old),
          });
          await waitFor("the end of the old token", 60_000, async () => {
            const answer = await byOld.list(undefined, signal).catch((error: unknown) => error);
            return (answer instanceof RequestFailure && answer.status === 401) || undefined;
          });
          writeFileSync(join(account, "token"), bound("second"));
          await inPod.list(undefined, signal);
          expect(readFileSync(join(account, "token"), "utf8")).not.toBe(old);
        } finally {
          for (const [name, value] of before) {
            if (value === undefined) delete process.env[name];
            else process.env[name] = value;
          }
        }
      },
      TEST_LIMIT_MS,
    );
  },
);
