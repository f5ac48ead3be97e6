// For backups: the node holds the file of its database still while somebody on its machine copies it and its log.
import { resolve } from "node:path";
import type { Store } from "../store/store.ts";
import { answerJson } from "./answers.ts";
import { API } from "./api-path.ts";
import { BACKUP_DOCS } from "./backup-docs.ts";
import type { NodeControl } from "./node-control.ts";
import type { NodeView } from "./node-view.ts";
import { newRoutes, unread } from "./routing.ts";

export interface BackupContext {
  readonly store: Store;
  readonly node: NodeView;
  readonly control: NodeControl;
}

function begin({ store, node, control }: BackupContext): Response {
  const { copying, storeId } = store;
  const id = copying.begin();
  return answerJson(
    JSON.stringify({
      id,
      database: resolve(copying.path),
      lease_ms: copying.leaseMs,
      store_id: storeId,
      node_id: node.nodeName,
      formation: control.process().formationTag,
      version: node.version,
    }),
    201,
  );
}

export function backupRoutes(context: BackupContext) {
  const { copying } = context.store;
  const done = () => answerJson("{}");
  return newRoutes()
    .post(`${API}/database-holds`, () => begin(context), { ...BACKUP_DOCS.begin, ...unread })
    .put(
      `${API}/database-holds/:id`,
      ({ params }) => {
        copying.renew(params.id);
        return done();
      },
      { ...BACKUP_DOCS.renew, ...unread },
    )
    .delete(
      `${API}/database-holds/:id`,
      ({ params }) => {
        copying.end(params.id);
        return done();
      },
      { ...BACKUP_DOCS.end, ...unread },
    );
}
