// Makes a collection's documents of one agent those that are wanted, with as few writes as that takes: none when
// nothing has changed.
import { Fault } from "../base/faults.ts";
import { type DocumentKey, documentKey } from "../store/document-key.ts";
import { type JsonObject, parseJsonObject, printJson } from "../store/json.ts";
import type { Store, WriteRequest } from "../store/store.ts";
import type { AgentDocuments } from "./documents.ts";

export interface MirrorOptions {
  readonly store: Store;
  readonly collection: string;
  readonly agentId: string;
  /** Seconds since the Unix epoch. */
  readonly lastSeen: number;
}

export interface Mirrored {
  readonly written: number;
  readonly deleted: number;
  /** Why a document could not be written; one of several. */
  readonly refusal: Fault | undefined;
}

const PAGE = 256;
/** Writes that are on their way together: enough for one commit, few enough for other writers. */
const WRITES_AT_ONCE = 128;

/** When it was last seen does not make a document another one. */
export function contentOf(document: JsonObject): string {
  const { last_seen: _, ...content } = document;
  return printJson(content);
}

/** Everything of this agent that is not wanted is deleted. */
export async function mirror(options: MirrorOptions, wanted: AgentDocuments): Promise<Mirrored> {
  const { store, collection, agentId } = options;
  const writes: WriteRequest[] = [];
  const known = new Set<string>();
  let deleted = 0;
  for await (const stored of storedOf(options)) {
    const document = wanted.get(stored.id);
    const present = parseJsonObject(stored.json);
    if (document === undefined) {
      // Somebody else's, under a name like the agent's.
      if (present["agent_id"] !== agentId) continue;
      deleted += 1;
      const operation = { kind: "delete", reason: "gone from the agent" } as const;
      writes.push({ key: stored.key, operation, ifMatch: [stored.hash] });
      continue;
    }
    known.add(stored.id);
    if (contentOf(document) !== contentOf(present)) {
      writes.push(toWrite(stored.key, document, options.lastSeen));
    }
  }
  let refusal: Fault | undefined;
  for (const [id, document] of wanted) {
    if (known.has(id)) continue;
    try {
      writes.push(toWrite(documentKey(collection, id), document, options.lastSeen));
    } catch (error) {
      // A name that no document may have: what the others say is still true.
      if (!(error instanceof Fault)) throw error;
      refusal = error;
    }
  }
  refusal = (await writeAll(store, writes)) ?? refusal;
  return { written: writes.length - deleted, deleted, refusal };
}

export function toWrite(key: DocumentKey, document: JsonObject, lastSeen: number): WriteRequest {
  const body = printJson({ ...document, last_seen: lastSeen });
  return { key, operation: { kind: "put", body } };
}

/** Names of nodes have no colon, so no other agent's ids begin like this one's. */
async function* storedOf({ store, collection, agentId }: MirrorOptions) {
  const prefix = `${agentId}:`;
  let after = prefix;
  for (;;) {
    const page = store.list(collection, { after, limit: PAGE });
    for (const document of page) {
      if (!document.id.startsWith(prefix)) return;
      yield document;
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.id;
    // There may be thousands, and others wait for this core.
    await store.turn();
  }
}

async function writeAll(store: Store, writes: readonly WriteRequest[]): Promise<Fault | undefined> {
  let refusal: Fault | undefined;
  for (let at = 0; at < writes.length; at += WRITES_AT_ONCE) {
    const some = writes.slice(at, at + WRITES_AT_ONCE).map((request) => store.write(request));
    for (const result of await Promise.allSettled(some)) {
      if (result.status === "fulfilled") continue;
      if (!(result.reason instanceof Fault)) throw result.reason;
      refusal = result.reason;
    }
  }
  return refusal;
}
