// The words in which routes are described for OpenAPI: schemas, parameters, answers with their refusals.
import type { DocumentDecoration } from "elysia";

export type Schema = Readonly<Record<string, unknown>>;

export const text: Schema = { type: "string" };
export const count: Schema = { type: "integer", minimum: 0 };
export const flag: Schema = { type: "boolean" };
export const orNull = (type: string): Schema => ({ type: [type, "null"] });

export function object(
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required };
}

export function listOf(items: Schema): Schema {
  return { type: "array", items };
}

export function refer(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

interface Answer {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

export function json(description: string, schema: Schema): Answer {
  return { description, content: { "application/json": { schema } } };
}

const REFUSALS: Readonly<Record<number, string>> = {
  400: "The request makes no sense; the sentence names what is wrong.",
  401: "A token is needed: Authorization: Bearer, with the value of PEAT_API_TOKEN.",
  404: "There is no such thing.",
  408: "The request was not done in time.",
  409: "The collection's policy, or what the document is now, forbids this.",
  412: "If-Match or If-None-Match does not hold.",
  413: "The body or document is too large.",
  415: "The body is of another type than JSON.",
  501: "This node does not offer that; the sentence names the setting.",
  503: "The node is stopping, too much is waiting, or a damaged document is being fetched from a peer; try again.",
  507: "The disk is full; nothing was written.",
};

export function answers(good: Readonly<Record<number, Answer>>, refusals: readonly number[] = []) {
  const bad = [401, ...refusals].map((status) => [
    status,
    json(REFUSALS[status] ?? "", refer("Fault")),
  ]);
  return { ...good, ...Object.fromEntries(bad) };
}

interface Described {
  readonly name: string;
  readonly help: string;
  readonly schema: Schema;
}

export function queries(...rows: readonly Described[]) {
  return rows.map(({ name, help, schema }) => ({ name, in: "query", description: help, schema }));
}

export function segment(name: string, description: string) {
  return { name, in: "path", required: true, description, schema: text };
}

export function header(name: string, description: string) {
  return { name, in: "header", description, schema: text };
}

/** As the routes' hooks want it. */
export function describe(operation: {
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Schema[];
  readonly requestBody?: Schema;
  readonly responses: object;
}): { readonly detail: DocumentDecoration } {
  // Elysia's type knows the schemas of OpenAPI 3.0 only; these are JSON Schema, as 3.1 has them.
  const schema31: object = operation;
  return { detail: schema31 as DocumentDecoration };
}
