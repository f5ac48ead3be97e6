// The work that the bench gives to a process of the other system, whether client or server.
import { type AutomergeUrl, isValidAutomergeUrl, type Repo } from "@automerge/automerge-repo";
import type { Document } from "../../support/broker-api.ts";
import { forEachBounded } from "../../support/waiting.ts";
import { type Command, type Request, tell } from "./messages.ts";

const RETRY_MS = 200;

function parseUrl(text: string): AutomergeUrl {
  if (!isValidAutomergeUrl(text)) throw new Error(`${text} is no automerge URL`);
  return text;
}

async function create(
  repo: Repo,
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

async function watch(repo: Repo, text: string): Promise<void> {
  const handle = await repo.find<Document>(parseUrl(text));
  handle.on("change", ({ doc }) => tell({ kind: "seen", url: text, nonce: String(doc["nonce"]) }));
}

async function write(repo: Repo, text: string, nonce: string): Promise<void> {
  const handle = await repo.find<Document>(parseUrl(text));
  handle.change((doc) => {
    doc["nonce"] = nonce;
  });
  await repo.flush([handle.documentId]);
}

async function fetchAll(
  repo: Repo,
  number: number,
  command: Extract<Command, { kind: "fetch" }>,
): Promise<void> {
  const startedMs = performance.now();
  const late = AbortSignal.timeout(command.limitMs);
  let arrived = 0;
  await forEachBounded(command.urls, command.lanes, async (text) => {
    while (!late.aborted) {
      try {
        const handle = await repo.find<Document>(parseUrl(text), { signal: late });
        await handle.whenReady();
        arrived += 1;
        return;
      } catch {
        // Not there yet, as "unavailable" or by the time limit; only the limit ends the asking.
        await Bun.sleep(RETRY_MS);
      }
    }
  });
  await Promise.race([repo.flush(), Bun.sleep(command.limitMs)]);
  tell({ kind: "fetched", number, arrived, ms: performance.now() - startedMs });
}

async function obey(repo: Repo, { number, command }: Request): Promise<void> {
  switch (command.kind) {
    case "create":
      return create(repo, number, command.documents, command.lanes);
    case "fetch":
      return fetchAll(repo, number, command);
    case "watch":
      await watch(repo, command.url);
      break;
    case "write":
      await write(repo, command.url, command.nonce);
      break;
  }
  tell({ kind: "done", number });
}

/** Does what the bench asks from now on, and tells it how it went. */
export function obeyRequests(repo: Repo): void {
  process.on("message", (request: Request) => {
    obey(repo, request).catch((reason: unknown) =>
      tell({ kind: "failed", number: request.number, reason: String(reason) }),
    );
  });
}
