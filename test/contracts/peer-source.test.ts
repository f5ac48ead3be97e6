import { networkInterfaces } from "node:os";
import { KubernetesSource } from "../../src/discovery/kubernetes.ts";
import { MdnsSource } from "../../src/discovery/mdns.ts";
import { StaticList } from "../../src/discovery/static-list.ts";
import { identityKey, parseNodeName, parsePeerAddress } from "../../src/identity/peer.ts";
import { ScriptedSlices } from "../support/kubernetes/scripted-slices.ts";
import { type PeerSourceWorld, peerSourceContract } from "./peer-source.ts";

peerSourceContract("static", async () => {
  const peers = [`alpha@alpha.example:11204`, `${"ab".repeat(32)}@10.0.0.2:11204`].map(
    parsePeerAddress,
  );
  return {
    source: new StaticList(peers),
    peers: peers.map((peer) => identityKey(peer.identity)),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

/** Only loopback: the packets of a test are nobody's business. */
function mdnsOnLoopback(name: string): MdnsSource {
  return new MdnsSource({
    name: parseNodeName(name),
    port: 11204,
    formationTag: `test${process.pid}`,
    formationTags: [`test${process.pid}`],
    bindHost: "127.0.0.1",
    interfaces: () => ({ lo: networkInterfaces()["lo"] }),
  });
}

peerSourceContract("mdns", async (): Promise<PeerSourceWorld> => {
  const source = mdnsOnLoopback("self");
  const others = ["alpha", "beta.with.dots"].map(mdnsOnLoopback);
  return {
    source,
    peers: ["name:alpha", "name:beta.with.dots"],
    arrive: async () => {
      await Promise.all(others.map((other) => other.start(() => undefined)));
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([source, ...others].map((each) => each.close()));
    },
  };
});

peerSourceContract("kubernetes", async (): Promise<PeerSourceWorld> => {
  const api = new ScriptedSlices();
  const pods = ["self", "alpha", "beta"].map((pod, i) => ({ pod, addresses: [`10.0.0.${i + 1}`] }));
  const source = new KubernetesSource({
    api,
    namespace: "default",
    selector: "app=peat-mesh",
    ownName: parseNodeName("self"),
    clusterName: undefined,
    defaultPort: 11204,
  });
  return {
    source,
    peers: ["name:alpha", "name:beta"],
    arrive: async () => api.put({ name: "peat-mesh-x", pods }),
    [Symbol.asyncDispose]: () => source.close(),
  };
});
