// A client of the websocket server with file storage of its own, driven by the bench. Arguments: port, folder.
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { tell } from "./messages.ts";
import { obeyRequests } from "./obey.ts";

const [port = "", folder = ""] = process.argv.slice(2);
const repo = new Repo({
  network: [new WebSocketClientAdapter(`ws://127.0.0.1:${port}`)],
  storage: new NodeFSStorageAdapter(folder),
});

obeyRequests(repo);
await repo.networkSubsystem.whenReady();
tell({ kind: "ready" });
