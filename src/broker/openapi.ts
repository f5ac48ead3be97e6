// The description of the API that /openapi.json publishes, made from the routes that are served.
import { toOpenAPISchema } from "@elysiajs/openapi/openapi";
import type { AnyElysia } from "elysia";
import { SCHEMAS } from "./route-docs.ts";

/** OpenAPI knows no WebSockets: they begin as a GET. */
function tellWebSocket(methods: object): object {
  return Object.fromEntries(
    Object.entries(methods).map(([method, operation]) => [
      method === "ws" ? "get" : method,
      operation,
    ]),
  );
}

/** Path, method, operation. */
type Paths = Readonly<Record<string, Readonly<Record<string, object>>>>;

/** As the routes are described: what the plugin makes of their paths knows no query, no header and no words. */
function tellParameters(app: AnyElysia, paths: object): Readonly<Record<string, object>> {
  const told = new Map<string, unknown>();
  for (const { method, path, hooks } of app.routes) {
    const parameters: unknown = hooks?.detail?.parameters;
    const name = path.replaceAll(/:(\w+)/g, "{$1}");
    if (parameters !== undefined) told.set(`${method.toLowerCase()} ${name}`, parameters);
  }
  const items = Object.entries(paths as Paths).map(([path, item]) => {
    const methods = Object.entries(item).map(([method, operation]) => {
      const parameters = told.get(`${method} ${path}`);
      return [method, parameters === undefined ? operation : { ...operation, parameters }];
    });
    return [path, Object.fromEntries(methods)];
  });
  return Object.fromEntries(items);
}

export function describeApi(app: AnyElysia, version: string): object {
  const { paths } = toOpenAPISchema(app, { staticFile: false });
  const described = tellParameters(app, paths);
  const told = Object.entries(described).map(([path, item]) => [path, tellWebSocket(item)]);
  return {
    openapi: "3.1.1",
    info: {
      title: "peat-sidecar broker",
      description: "Documents and state of one mesh node over HTTP and WebSocket.",
      version,
    },
    security: [{}, { token: [] }],
    paths: Object.fromEntries(told),
    components: {
      schemas: SCHEMAS,
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}
