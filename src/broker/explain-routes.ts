// Questions about what is wrong: with one document, or with the node.
import { Fault } from "../base/faults.ts";
import { documentKey } from "../store/document-key.ts";
import { answerJson } from "./answers.ts";
import { API } from "./api-path.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { EXPLAIN_DOCS } from "./explain-docs.ts";
import { viewExplanation, viewFindings } from "./explain-views.ts";
import type { NodeView } from "./node-view.ts";
import { decoded } from "./request-path.ts";
import { newRoutes } from "./routing.ts";

export interface ExplainContext {
  readonly node: NodeView;
  /** Undefined: this node has none. */
  readonly diagnostics?: Diagnostics | undefined;
}

/** A peer behind a slow link has to be heard, too. */
const ASK_MS = 5_000;

function diagnosticsOf({ diagnostics }: ExplainContext): Diagnostics {
  if (diagnostics !== undefined) return diagnostics;
  throw new Fault("route_not_found", "this node explains nothing");
}

export function explainRoutes(context: ExplainContext) {
  return newRoutes()
    .get(
      `${API}/explain/:collection/:id`,
      async ({ params }) => {
        const collection = decoded(params.collection, "collection");
        const key = documentKey(collection, decoded(params.id, "document id"));
        const explanation = await diagnosticsOf(context).explain(key, ASK_MS);
        return answerJson(viewExplanation(key, context.node.nodeName, explanation));
      },
      EXPLAIN_DOCS.explain,
    )
    .get(
      `${API}/doctor`,
      async () => answerJson(viewFindings(await diagnosticsOf(context).examine(ASK_MS))),
      EXPLAIN_DOCS.doctor,
    );
}
