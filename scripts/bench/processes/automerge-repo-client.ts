// A client of the websocket server with file storage of its own, driven by the bench. Arguments: port, folder.
import { type AutomergeUrl, isValidAutomergeUrl, Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import type { Document } from "../../support/broker-api.ts";
import { forEachBounded } from "../../support/waiting.ts";
import { type Command, type Request, tell } from "./messages.ts";

const [port = "", folder = ""] = process.argv.slice(2);
const repo = new Repo({
  network: [new WebSocketClientAdapter(`ws://127.0.0.1:${port}`)],
  storage: new NodeFSStorageAdapter(folder),
});

function parseUrl(text: string): AutomergeUrl {
  if (!isValidAutomergeUrl(text)) throw new Error(`${text} is no automerge URL`);
  return text;
}

async function create(
  number: number,
  documents: readonly Document[],
  lanes: number,
): Promise<void> {
  const startedMs = performance.now();
  const urls: string[] = [];
  await forEachBounded(documents, lanes, async (document, index) => {
    const handle = repo.create<Document>(document);
    await repo.flush([handle.documentId]);
    urls[index] = handle.url;
  });
  tell({ kind: "created", number, urls, ms: performance.now() - startedMs });
}

async function watch(text: string): Promise<void> {
  const handle = await repo.find<Document>(parseUrl(text));
  handle.on("change", ({ doc }) => tell({ kind: "seen", url: text, nonce: String(doc["nonce"]) }));
}

async function write(text: string, nonce: string): Promise<void> {
  const handle = await repo.find<Document>(parseUrl(text));
  handle.change((doc) => {
    doc["nonce"] = nonce;
  });
  await repo.flush([handle.documentId]);
}

async function fetchAll(
  number: number,
  command: Extract<Command, { kind: "fetch" }>,
): Promise<void> {
  const startedMs = performance.now();
  const late = AbortSignal.timeout(command.limitMs);
  let arrived = 0;
  await forEachBounded(command.urls, command.lanes, async (text) => {
    if (late.aborted) return;
    try {
      const handle = await repo.find<Document>(parseUrl(text), { signal: late });
      await handle.whenReady();
      arrived += 1;
    } catch (reason) {
      // A document that has not come in time is what is being measured; all else is a failure.
      if (!late.aborted) throw reason;
    }
  });
  await Promise.race([repo.flush(), Bun.sleep(command.limitMs)]);
  tell({ kind: "fetched", number, arrived, ms: performance.now() - startedMs });
}

async function obey({ number, command }: Request): Promise<void> {
  switch (command.kind) {
    case "create":
      return create(number, command.documents, command.lanes);
    case "fetch":
      return fetchAll(number, command);
    case "watch":
      await watch(command.url);
      break;
    case "write":
      await write(command.url, command.nonce);
      break;
  }
  tell({ kind: "done", number });
}

process.on("message", (request: Request) => {
  obey(request).catch((reason: unknown) =>
    tell({ kind: "failed", number: request.number, reason: String(reason) }),
  );
});
await repo.networkSubsystem.whenReady();
tell({ kind: "ready" });
