// Documents as JSON text: put, get, delete, list.
import type { ServiceImpl } from "@connectrpc/connect";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { Store, StoredDocument } from "../store/store.ts";
import { collectionIn, keyIn, withField } from "./fields.ts";
import type { PeatSidecar } from "./gen/peat/sidecar/v1/sidecar_pb.ts";
import { PAGE_DOCUMENTS } from "./limits.ts";

type DocumentCalls = Pick<
  ServiceImpl<typeof PeatSidecar>,
  "putDocument" | "getDocument" | "deleteDocument" | "listDocuments"
>;

/** All documents of a collection in key order, with a turn for others between two pages. */
export async function* documentsOf(
  { store, clock }: { store: Store; clock: Clock },
  collection: string,
): AsyncIterable<StoredDocument> {
  let after: string | undefined;
  while (true) {
    const page = store.list(collection, {
      limit: PAGE_DOCUMENTS,
      ...(after === undefined ? {} : { after }),
    });
    yield* page;
    after = page.at(-1)?.id;
    // A page may be short of damaged documents; only an empty one is the last.
    if (after === undefined) return;
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
}

export function documentCalls({ store, clock }: { store: Store; clock: Clock }): DocumentCalls {
  return {
    async putDocument({ collection, docId, jsonData }) {
      const key = keyIn(collection, "doc_id", docId);
      const operation = { kind: "put", body: jsonData } as const;
      await withField("json_data", () => store.write({ key, operation }));
      return {};
    },

    getDocument({ collection, docId }) {
      const key = keyIn(collection, "doc_id", docId);
      const document = store.get(key);
      if (document !== undefined) return { jsonData: document.json };
      store.damage.checkAbsent(key);
      return {};
    },

    async deleteDocument({ collection, docId }) {
      const key = keyIn(collection, "doc_id", docId);
      try {
        await store.write({ key, operation: { kind: "delete", reason: "" } });
      } catch (error) {
        // Whoever deletes wants it gone, and it is.
        if (!(error instanceof Fault && error.code === "document_not_found")) throw error;
      }
      return {};
    },

    async listDocuments({ collection }) {
      const docIds: string[] = [];
      const documents = documentsOf({ store, clock }, collectionIn("collection", collection));
      for await (const { id } of documents) docIds.push(id);
      return { docIds };
    },
  };
}
