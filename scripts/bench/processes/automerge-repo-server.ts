// automerge-repo's websocket server with file storage, set up as its own sync server is. Arguments: port, folder.
import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { WebSocketServer } from "ws";
import { tell } from "./messages.ts";
import { obeyRequests } from "./obey.ts";

const [port = "", folder = ""] = process.argv.slice(2);
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port) });
server.on("listening", () => tell({ kind: "ready" }));
// The cast: two declarations of one class that differ in optional fields only.
type AdapterServer = ConstructorParameters<typeof WebSocketServerAdapter>[0];
const repo = new Repo({
  network: [new WebSocketServerAdapter(server as AdapterServer)],
  storage: new NodeFSStorageAdapter(folder),
  // Documents are given to whoever asks, and pushed to nobody who has not.
  sharePolicy: async () => false,
});
obeyRequests(repo);
process.on("disconnect", () => repo.shutdown().finally(() => process.exit(0)));
