// Questions to the node that this page came from. The token is sent as a header, never in an address, and kept for as
// long as the tab lives.
import { field, textOf } from "./answers.ts";

const TOKEN_KEY = "peat-token";
const TIMEOUT_MS = 10_000;

/** The node refused, or did not answer: `status` is 0 then. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function readToken(): string | undefined {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? undefined;
  } catch {
    // A browser that keeps nothing: the token lives until the page is loaded again.
    return unkept;
  }
}

let unkept: string | undefined;

export function keepToken(token: string | undefined): void {
  unkept = token;
  try {
    if (token === undefined) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // As above.
  }
}

/** Text of a good answer, which is JSON. Throws Refusal with the node's own sentence, or why there was none. */
export async function askText(path: string): Promise<string> {
  const token = readToken();
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      headers,
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch {
    throw new Refusal(0, "the node does not answer");
  }
  if (response.ok) return text;
  throw new Refusal(response.status, sentenceIn(text) ?? `the node answered ${response.status}`);
}

function sentenceIn(text: string): string | undefined {
  try {
    return textOf(field(JSON.parse(text), "error"));
  } catch {
    // Not the node's own answer, but of something in between.
    return undefined;
  }
}

/** Parsed JSON of a good answer. Throws Refusal as askText. */
export async function ask(path: string): Promise<unknown> {
  const text = await askText(path);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(0, "the answer is no JSON");
  }
}

export const API = "/api/v1";

export function documentPath(collection: string, id: string): string {
  return `${API}/documents/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
}

/** Protocols that a WebSocket asks for; the second one is the token, since browsers send no headers of ours. */
export function socketProtocols(): string[] {
  const token = readToken();
  if (token === undefined) return ["peat.events"];
  const bytes = new TextEncoder().encode(token);
  const base64 = btoa(String.fromCharCode(...bytes));
  const safe = base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return ["peat.events", `peat.bearer.${safe}`];
}
