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

export function describeApi(app: AnyElysia, version: string): object {
  const { paths } = toOpenAPISchema(app, { staticFile: false });
  const told = Object.entries(paths).map(([path, item]) => [path, tellWebSocket(item ?? {})]);
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
