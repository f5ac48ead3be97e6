// One call to the agent and its answer, over a socket that is already open: HTTP/2 or HTTP/1.1, answers bounded.
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { concatBytes, fromUtf8 } from "../base/bytes.ts";
import { Fault, messageOf } from "../base/faults.ts";

export interface AgentCall {
  readonly method: "GET" | "POST";
  /** Below the agent's base URL, with a slash in front. */
  readonly path: string;
}

export type Protocol = "h2" | "http/1.1";

export interface ExchangeOptions {
  readonly call: AgentCall;
  /** Of the Host header. */
  readonly authority: string;
  /** Larger answers are refused. */
  readonly answerBytesMax: number;
  /** Aborts when the answer's time is over. */
  readonly signal: AbortSignal;
}

/** Nothing that is an answer in this protocol came back: another protocol may do better. */
export class Unanswered extends Error {}

/** As Connect's unary calls want it; a GET has none. */
const BODY = "{}";

function headersOf({ call }: ExchangeOptions): Record<string, string> {
  const asks = { accept: "application/json", "accept-encoding": "identity" };
  if (call.method === "GET") return asks;
  return { ...asks, "content-type": "application/json", "connect-protocol-version": "1" };
}

interface Answer {
  readonly status: number;
  readonly encoding: string;
  readonly body: Readable;
}

/** Text of a body; Faults: not_ready (no success), wire_invalid (encoded, too large, no UTF-8). */
async function readAnswer(
  { status, encoding, body }: Answer,
  { call, answerBytesMax }: ExchangeOptions,
) {
  if (status < 200 || status > 299) {
    throw new Fault("not_ready", `the agent answered ${status} to ${call.path}`);
  }
  if (encoding !== "" && encoding !== "identity") {
    throw new Fault(
      "wire_invalid",
      `the answer to ${call.path} is encoded, which was not asked for`,
    );
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    if (!(part instanceof Uint8Array)) continue;
    length += part.length;
    if (length > answerBytesMax) {
      const sentence = `the answer to ${call.path} is larger than ${answerBytesMax} bytes`;
      throw new Fault("wire_invalid", sentence);
    }
    parts.push(part);
  }
  try {
    return fromUtf8(concatBytes(parts));
  } catch (cause) {
    throw new Fault("wire_invalid", `the answer to ${call.path} is no text`, {}, cause);
  }
}

/**
 * `begin` makes the call and gives an answer to `take`, or to `fail` why none will come; the answer is then `read`.
 * Both within the time of the call.
 */
async function settle(
  { signal, call }: ExchangeOptions,
  begin: (fail: (reason: unknown) => void, take: (answer: Answer) => void) => void,
  read: (answer: Answer) => Promise<string>,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const late = () => reject(new Unanswered(`no answer to ${call.path} in time`));
  signal.addEventListener("abort", late, { once: true });
  try {
    begin((reason) => reject(new Unanswered(messageOf(reason), { cause: reason })), resolve);
    const answer = await promise;
    // Of a body that never ends the time is over, too.
    const cut = () =>
      answer.body.destroy(new Error(`the answer to ${call.path} did not end in time`));
    signal.addEventListener("abort", cut, { once: true });
    if (signal.aborted) cut();
    try {
      return await read(answer);
    } catch (error) {
      if (error instanceof Fault) throw error;
      const sentence = `the answer to ${call.path} broke off: ${messageOf(error)}`;
      throw new Fault("not_ready", sentence, {}, error);
    } finally {
      signal.removeEventListener("abort", cut);
    }
  } finally {
    signal.removeEventListener("abort", late);
  }
}

/** A session over an open socket. Its failures are those of its calls. */
export function openSession(socket: Socket, authority: string): ClientHttp2Session {
  const session = connect(`http://${authority}`, {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  session.on("error", () => undefined);
  return session;
}

/** One call as a stream of its own. Throws Unanswered; Faults: not_ready, wire_invalid. */
export async function exchangeHttp2(
  session: ClientHttp2Session,
  options: ExchangeOptions,
): Promise<string> {
  const { call } = options;
  let stream: ClientHttp2Stream | undefined;
  const broken = { fail: (_: unknown): void => undefined };
  const onError = (error: unknown) => broken.fail(error);
  const onClose = () => broken.fail(new Error("the connection was closed"));
  session.on("error", onError);
  session.on("close", onClose);
  try {
    return await settle(
      options,
      (fail, take) => {
        broken.fail = fail;
        const opened = session.request({
          ":method": call.method,
          ":path": call.path,
          ...headersOf(options),
        });
        stream = opened;
        opened.on("error", fail);
        opened.on("close", () => fail(new Error("the call was closed without an answer")));
        opened.on("response", (headers) => {
          const encoding = String(headers["content-encoding"] ?? "");
          take({ status: Number(headers[":status"]), encoding, body: opened });
        });
        opened.end(call.method === "POST" ? BODY : undefined);
      },
      (answer) => readAnswer(answer, options),
    );
  } finally {
    session.off("error", onError);
    session.off("close", onClose);
    stream?.close(constants.NGHTTP2_CANCEL);
  }
}

/** One call, after which the socket is closed. Throws Unanswered; Faults: not_ready, wire_invalid. */
export async function exchangeHttp1(socket: Socket, options: ExchangeOptions): Promise<string> {
  const { call, authority } = options;
  let sent: ClientRequest | undefined;
  try {
    return await settle(
      options,
      (fail, take) => {
        const body = call.method === "POST" ? BODY : undefined;
        const length = body === undefined ? {} : { "content-length": String(body.length) };
        sent = request({
          createConnection: () => socket,
          method: call.method,
          path: call.path,
          headers: { ...headersOf(options), ...length, host: authority, connection: "close" },
        });
        sent.on("error", fail);
        sent.on("close", () => fail(new Error("the connection was closed without an answer")));
        sent.on("response", (message: IncomingMessage) => {
          const encoding = message.headers["content-encoding"] ?? "";
          take({ status: message.statusCode ?? 0, encoding, body: message });
        });
        sent.end(body);
      },
      (answer) => readAnswer(answer, options),
    );
  } finally {
    sent?.destroy();
    socket.destroy();
  }
}
