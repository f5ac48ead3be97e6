// What operators ask and order beside documents: the node at a glance, sync on and off, log, settings.
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { Store } from "../store/store.ts";
import { answerJson } from "./answers.ts";
import { API } from "./api-path.ts";
import type { NodeControl } from "./node-control.ts";
import type { NodeView } from "./node-view.ts";
import { OPERATOR_DOCS } from "./operator-docs.ts";
import { viewConfig, viewFilter, viewLogs, viewStatus, viewSync } from "./operator-views.ts";
import { readOrder } from "./order-body.ts";
import { DIFF, LOG_AFTER, LOG_LEVEL, LOG_LIMIT, type Query, readParameter } from "./query.ts";
import { newRoutes, unread } from "./routing.ts";

export interface OperatorContext {
  readonly store: Store;
  readonly node: NodeView;
  readonly control: NodeControl;
  readonly clock: Clock;
  readonly requestMs: number;
}

/** Orders are short. */
const BODY_BYTES_MAX = 16 * 1024;

/** The one field that the order has. */
async function readField(request: Request, name: string, context: OperatorContext) {
  const order = await readOrder(request, [name], { ...context, bytesMax: BODY_BYTES_MAX });
  return order.get(name);
}

function answerStatus({ store, node, control, clock }: OperatorContext): Response {
  const text = viewStatus({
    node,
    control,
    summary: store.summary(),
    collections: store.collections().length,
    uptimeMs: clock.monotonic() - node.startedAt,
  });
  return answerJson(text);
}

async function setSync(context: OperatorContext, request: Request): Promise<Response> {
  const isWanted = await readField(request, "running", context);
  if (typeof isWanted !== "boolean") {
    throw new Fault("invalid_argument", "running must be true or false");
  }
  context.control.setSyncing(isWanted);
  return answerJson(viewSync(context.control));
}

/** What is otherwise now means reading files, so it is looked for on demand only. */
function answerConfig(control: NodeControl, query: Query): Response {
  const diff = readParameter(query, DIFF) === true ? control.settingsDiff() : undefined;
  return answerJson(viewConfig(control.settings(), diff));
}

const DEFAULT_LINES = 100;

function answerLogs({ control }: OperatorContext, query: Query): Response {
  const page = control.log.read({
    after: readParameter(query, LOG_AFTER),
    limit: readParameter(query, LOG_LIMIT) ?? DEFAULT_LINES,
    level: readParameter(query, LOG_LEVEL) ?? "trace",
  });
  return answerJson(viewLogs(page));
}

async function orderFilter(context: OperatorContext, request: Request): Promise<Response> {
  const filter = await readField(request, "filter", context);
  if (typeof filter !== "string" && filter !== null) {
    const sentence =
      'filter must be a text such as "info,peat_mesh=debug", or null for the settings\' own';
    throw new Fault("invalid_argument", sentence);
  }
  const { log } = context.control;
  log.orderFilter(filter);
  return answerJson(viewFilter(log.filter));
}

export function operatorRoutes(context: OperatorContext) {
  const { control } = context;
  return newRoutes()
    .get(`${API}/status`, () => answerStatus(context), OPERATOR_DOCS.status)
    .get(`${API}/sync`, () => answerJson(viewSync(control)), OPERATOR_DOCS.sync)
    .put(`${API}/sync`, ({ request }) => setSync(context, request), {
      ...OPERATOR_DOCS.setSync,
      ...unread,
    })
    .get(`${API}/logs`, ({ query }) => answerLogs(context, query), OPERATOR_DOCS.logs)
    .get(
      `${API}/log-filter`,
      () => answerJson(viewFilter(control.log.filter)),
      OPERATOR_DOCS.filter,
    )
    .put(`${API}/log-filter`, ({ request }) => orderFilter(context, request), {
      ...OPERATOR_DOCS.orderFilter,
      ...unread,
    })
    .get(`${API}/config`, ({ query }) => answerConfig(control, query), OPERATOR_DOCS.config);
}
