// One request: which call it is, who may make it, how long it has; the rest is Connect's.
import { IncomingMessage } from "node:http";
import {
  Code,
  ConnectError,
  type ContextKey,
  cors,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  compressionGzip,
  // biome-ignore lint/suspicious/noDeprecatedImports: only its form without the response is.
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Access, HeaderView } from "../access/access.ts";
import type { Clock } from "../base/clock.ts";
import type { DistributionFamily } from "../base/distribution.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { Request, Response } from "./connections.ts";
import { type DeadlineLimits, deadlineMs, setDeadline, streamDeadlineMs } from "./deadline.ts";
import { explain, toConnectError } from "./errors.ts";
import { Health } from "./gen/grpc/health/v1/health_pb.ts";
import { COMPRESS_BYTES_MIN } from "./limits.ts";
import { measure } from "./measure.ts";
import { refuse, refuseMethod } from "./refusal.ts";
import { discardRest } from "./request-rest.ts";
import type { RpcServices } from "./services.ts";
import { compressionZstd } from "./zstd.ts";

const log = getLog("peat_mesh::rpc");

/** What probes call: they have no token, and learn only whether this node is ready. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(
  Health.methods.map((method) => `/${Health.typeName}/${method.name}`),
);

export interface HandlerOptions {
  readonly clock: Clock;
  readonly deadlines: DeadlineLimits;
  readonly messageBytesMax: number;
  readonly services: Pick<RpcServices, "register">;
  /** Seconds of each call, streams to their end, by method and code are counted there. */
  readonly callTimes?: DistributionFamily | undefined;
}

/** How long a browser may remember what it was allowed. */
const PREFLIGHT_SECS = 7_200;

interface Caller {
  readonly access: Access;
  readonly headers: HeaderView;
  readonly address: string | undefined;
}

const CALLER: ContextKey<Caller | undefined> = createContextKey(undefined);

/** Asked before anything of the call's body is read. */
function checkAccess({ values, service, method }: HandlerContext): void {
  const caller = values.get(CALLER);
  if (caller === undefined) return;
  try {
    caller.access.check({
      // Every call may write, as far as HTTP knows.
      method: "POST",
      path: `/${service.typeName}/${method.name}`,
      headers: caller.headers,
      address: () => caller.address,
    });
  } catch (error) {
    throw toConnectError(error);
  }
}

/** HTTP/2 tells the host beside the headers. */
function headersOf(request: Request): HeaderView {
  const read = (name: string): string | undefined => {
    if (name === "host" && "authority" in request && request.authority !== "") {
      return request.authority;
    }
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return { get: (name) => read(name) ?? null, has: (name) => read(name) !== undefined };
}

function pathOf(request: Request): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

export class RpcHandler {
  readonly #options: HandlerOptions;
  readonly #calls = new Map<string, UniversalHandler>();
  readonly #stopping = new AbortController();

  constructor(options: HandlerOptions) {
    this.#options = options;
    const router = createConnectRouter({
      acceptCompression: [compressionGzip, compressionZstd],
      compressMinBytes: COMPRESS_BYTES_MIN,
      readMaxBytes: options.messageBytesMax,
      interceptors: [measure(options.callTimes), explain],
      requestGate: checkAccess,
    });
    options.services.register(router, this.#stopping.signal);
    // Of two for one path the later one counts.
    for (const call of router.handlers) this.#calls.set(call.requestPath, call);
  }

  /** Ends every stream with `unavailable`; other calls under way go on. */
  close(): void {
    this.#stopping.abort(new Fault("not_ready", "the node is stopping"));
  }

  /** Answers one request of a listener with that access. Never throws. */
  serve(request: Request, response: Response, access: Access): void {
    try {
      const headers = headersOf(request);
      const origin = headers.get("origin");
      if (origin !== null) allowOrigin(response, access.allowedOrigin(origin, headers));
      if (request.method === "OPTIONS") answerPreflight(response);
      else this.#call(request, response, { access, headers, address: addressOf(request) });
    } catch (error) {
      // A host or path that makes no URL, or a client that has gone.
      log.debug("RPC request refused", { cause: messageOf(error) });
      if (response.headersSent) response.destroy();
      else {
        refuse(
          request,
          response,
          new Fault("invalid_argument", "the request has no valid host or path"),
        );
      }
    }
  }

  #call(request: Request, response: Response, caller: Caller): void {
    const path = pathOf(request);
    const call = this.#calls.get(path);
    if (call === undefined) {
      const shown = path.slice(0, 200);
      refuse(request, response, new Fault("route_not_found", `there is no call ${shown}`));
      return;
    }
    if (!call.allowedMethods.includes(request.method ?? "")) {
      refuseMethod(response, `${request.method} is not possible on ${path}`, call.allowedMethods);
      return;
    }
    const ms = deadlineMs(request.headers, this.#options.deadlines);
    const { methodKind } = call.method;
    setDeadline(request.headers, methodKind === "unary" ? ms : streamDeadlineMs(request.headers));
    // A client that streams may be sending until its own deadline, which Connect tells it of.
    const isSending = methodKind === "bidi_streaming" || methodKind === "client_streaming";
    this.#limitReading(request, response, isSending ? this.#options.deadlines.maxMs : ms);
    const values = createContextValues().set(CALLER, caller);
    const universal = universalRequestFromNodeRequest(request, response, undefined, values);
    call({ ...universal, body: bodyOf(request) })
      .then((answer) => {
        const { body } = answer;
        const sent = body === undefined ? answer : { ...answer, body: this.#sent(request, body) };
        return universalResponseToNodeResponse(sent, response);
      })
      .catch((error: unknown) => {
        // Mostly a client that has gone; what calls throw has become an answer already.
        log.debug("RPC answer not sent", { path, cause: messageOf(error) });
        response.destroy();
      });
  }

  async *#sent(request: Request, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of body) {
      // A message without fields has no bytes, and would be an empty DATA frame: of these, clients bear a thousand on
      // one connection and then end it (CVE-2019-9518).
      if (chunk.length === 0) continue;
      // Over HTTP/2 the two directions know nothing of each other.
      if (request instanceof IncomingMessage) await discardRest(request, this.#options.clock);
      yield chunk;
    }
  }

  /** A client that does not send the whole of its request in time is not waited for. */
  #limitReading(request: Request, response: Response, ms: number): void {
    const cancel = this.#options.clock.after(ms, () => {
      if (request.complete) return;
      if (!response.headersSent) {
        const sentence = "the request was not received in time";
        refuse(request, response, new Fault("request_timeout", sentence));
      }
      request.destroy();
    });
    request.once("end", cancel);
    response.once("close", cancel);
  }
}

async function* bodyOf(request: Request): AsyncIterable<Uint8Array> {
  try {
    // Whoever stops reading early must not end the connection by it: the answer is still to be sent.
    yield* request.iterator({ destroyOnReturn: false });
  } catch (error) {
    // The client has gone in the middle, which is no failure of the call's.
    throw new ConnectError(messageOf(error), Code.Aborted);
  }
}

function addressOf(request: Request): string | undefined {
  return request.socket.remoteAddress;
}

function allowOrigin(response: Response, allowed: string | undefined): void {
  response.setHeader("vary", "origin");
  if (allowed === undefined) return;
  response.setHeader("access-control-allow-origin", allowed);
  response.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
}

function answerPreflight(response: Response): void {
  const headers = [...cors.allowedHeaders, "Authorization"].join(", ");
  response.statusCode = 204;
  response.setHeader("access-control-allow-methods", "POST");
  response.setHeader("access-control-allow-headers", headers);
  response.setHeader("access-control-max-age", String(PREFLIGHT_SECS));
  response.end();
}
