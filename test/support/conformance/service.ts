// The service that connectconformance calls, on this program's own listeners: it answers as it is told to, and says
// what it saw of the request.
import { create, createRegistry } from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformanceService,
  type Error as ErrorDefinition,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/conformance_pb.ts";

type Definition = Pick<UnaryResponseDefinition, "responseHeaders" | "responseTrailers">;

/** No longer time is asked for; the listener's default, which calls without a wish of their own have, is beyond it. */
const ASKED_MS_MAX = 60_000;

/** What messages of type Any may hold, for JSON. */
const KNOWN = createRegistry(
  UnaryRequestSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  ClientStreamRequestSchema,
  BidiStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
);

function append(target: Headers, headers: readonly Header[]): void {
  for (const { name, value } of headers) for (const item of value) target.append(name, item);
}

function setHeaders(context: HandlerContext, definition: Definition | undefined): void {
  append(context.responseHeader, definition?.responseHeaders ?? []);
  append(context.responseTrailer, definition?.responseTrailers ?? []);
}

function seen(context: HandlerContext, requests: Any[]): ConformancePayload_RequestInfo {
  const leftMs = context.timeoutMs();
  // What a call has that asks for nothing is the listener's, not the client's.
  const timeoutMs = leftMs === undefined || leftMs > ASKED_MS_MAX ? undefined : leftMs;
  const query = context.requestMethod === "GET" ? [...new URL(context.url).searchParams] : [];
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: [...context.requestHeader].map(([name, value]) => ({ name, value: [value] })),
    requests,
    ...(timeoutMs === undefined ? {} : { timeoutMs: BigInt(Math.round(timeoutMs)) }),
    ...(query.length === 0
      ? {}
      : { connectGetInfo: { queryParams: query.map(([name, v]) => ({ name, value: [v] })) } }),
  });
}

/** The wanted error; where no answer has told it yet, with what was seen of the request. */
function errorOf(
  { code, message = "", details }: ErrorDefinition,
  info: ConformancePayload_RequestInfo | undefined,
): ConnectError {
  const outgoing = [
    ...details.map((detail) => anyUnpack(detail, KNOWN)).filter((value) => value !== undefined),
    ...(info === undefined ? [] : [info]),
  ].flatMap((value) => {
    const desc = KNOWN.getMessage(value.$typeName);
    return desc === undefined ? [] : [{ desc, value }];
  });
  return new ConnectError(message, Number(code), undefined, outgoing);
}

async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  requests: Any[],
  context: HandlerContext,
) {
  setHeaders(context, definition);
  await Bun.sleep(definition?.responseDelayMs ?? 0);
  const requestInfo = seen(context, requests);
  const response = definition?.response;
  if (response?.case === "error") throw errorOf(response.value, requestInfo);
  const data = response?.case === "responseData" ? response.value : new Uint8Array();
  return { payload: { data, requestInfo } };
}

/** Answers from that number on, then the error. */
async function* answers(
  definition: StreamResponseDefinition | undefined,
  told: number,
  info: ConformancePayload_RequestInfo,
) {
  let count = told;
  for (const data of definition?.responseData.slice(told) ?? []) {
    await Bun.sleep(definition?.responseDelayMs ?? 0);
    yield { payload: { data, ...(count === 0 ? { requestInfo: info } : {}) } };
    count += 1;
  }
  if (definition?.error !== undefined) {
    throw errorOf(definition.error, count === 0 ? info : undefined);
  }
}

/** `messageBytesMax`: 0 for the listener's own limit. */
export function conformanceService(messageBytesMax: number) {
  return {
    register: (router: ConnectRouter) => {
      router.service(
        ConformanceService,
        {
          unary: (request, context) =>
            answerOnce(request.responseDefinition, [anyPack(UnaryRequestSchema, request)], context),

          idempotentUnary: (request, context) =>
            answerOnce(
              request.responseDefinition,
              [anyPack(IdempotentUnaryRequestSchema, request)],
              context,
            ),

          async clientStream(requests, context) {
            let definition: UnaryResponseDefinition | undefined;
            const packed: Any[] = [];
            for await (const request of requests) {
              if (packed.length === 0) definition = request.responseDefinition;
              packed.push(anyPack(ClientStreamRequestSchema, request));
            }
            return await answerOnce(definition, packed, context);
          },

          async *serverStream(request, context) {
            setHeaders(context, request.responseDefinition);
            const info = seen(context, [anyPack(ServerStreamRequestSchema, request)]);
            yield* answers(request.responseDefinition, 0, info);
          },

          async *bidiStream(requests, context) {
            let definition: StreamResponseDefinition | undefined;
            let isFullDuplex = false;
            let received = 0;
            let told = 0;
            let packed: Any[] = [];
            for await (const request of requests) {
              if (received === 0) {
                definition = request.responseDefinition;
                isFullDuplex = request.fullDuplex;
                setHeaders(context, definition);
              }
              received += 1;
              packed.push(anyPack(BidiStreamRequestSchema, request));
              if (!isFullDuplex) continue;
              const data = definition?.responseData[told];
              if (data === undefined) break;
              await Bun.sleep(definition?.responseDelayMs ?? 0);
              const info = seen(context, packed);
              const requestInfo = told === 0 ? info : { requests: info.requests };
              yield { payload: { data, requestInfo } };
              told += 1;
              packed = [];
            }
            yield* answers(definition, told, seen(context, packed));
          },
        },
        {
          jsonOptions: { registry: KNOWN },
          ...(messageBytesMax === 0 ? {} : { readMaxBytes: messageBytesMax }),
        },
      );
    },
  };
}
