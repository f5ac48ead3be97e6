// The contract of links, held by the simulated network and by Iroh on loopback.
import { Random } from "../../scripts/model/random.ts";
import { systemClock } from "../../src/base/clock.ts";
import { parseEndpointId } from "../../src/identity/peer.ts";
import { openIrohNetwork } from "../../src/net/iroh.ts";
import { MemoryNet } from "../support/memory-network.ts";
import { linkContract } from "./link.ts";

const random = new Random(1);
const net = new MemoryNet({ clock: systemClock, random, path: { latencyMs: 1 } });
let ports = 0;

linkContract("memory network", async (alpns) => {
  ports += 1;
  const id = parseEndpointId(random.fill(new Uint8Array(32)).toHex());
  return net.open({ id, address: `127.0.0.1:${ports}`, alpns });
});

linkContract("Iroh", (alpns) =>
  openIrohNetwork({
    secretKey: crypto.getRandomValues(new Uint8Array(32)),
    bindAddress: "127.0.0.1:0",
    relayUrls: [],
    alpns,
  }),
);
