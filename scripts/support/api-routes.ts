// The broker's routes as a table for docs/api.md, in the order of their paths.
import { fieldsOf } from "../../src/base/fields.ts";
import { describeApi } from "../../src/broker/openapi.ts";
import { makeRoutes, type RouteContext } from "../../src/broker/routes.ts";
import { cell } from "../../src/config/render.ts";

/** What a node is to its routes: they are listed here, and none is asked. */
const NOBODY: unknown = new Proxy({}, { get: () => NOBODY });

const METHODS = ["get", "put", "patch", "post", "delete"];

export function renderRoutes(): string {
  const app = makeRoutes(NOBODY as RouteContext);
  const paths = Object.entries(fieldsOf(fieldsOf(describeApi(app, ""))["paths"]));
  const lines = paths.flatMap(([path, item]) => {
    const operations = fieldsOf(item);
    return METHODS.filter((method) => Object.hasOwn(operations, method)).map((method) => {
      const { summary } = fieldsOf(operations[method]);
      return `| \`${method.toUpperCase()} ${path}\` | ${cell(String(summary))} |`;
    });
  });
  return ["| route | what |", "|---|---|", ...lines].join("\n");
}
