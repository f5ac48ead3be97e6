// How long calls take, by method and code; of a stream, until it has ended.
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { DistributionFamily } from "../base/distribution.ts";

/** Undefined: nothing is counted. */
export function measure(callTimes: DistributionFamily | undefined): Interceptor {
  return (next) => async (request) => {
    if (callTimes === undefined) return await next(request);
    const sinceMs = performance.now();
    const ended = (code: string) => {
      const seconds = (performance.now() - sinceMs) / 1000;
      callTimes.observe([request.service.typeName, request.method.name, code], seconds);
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: measured(response.message, ended) };
      ended("ok");
      return response;
    } catch (error) {
      ended(codeOf(error));
      throw error;
    }
  };
}

async function* measured<T>(
  messages: AsyncIterable<T>,
  ended: (code: string) => void,
): AsyncIterable<T> {
  // Whoever stops reading early has cancelled the call.
  let code = "canceled";
  try {
    yield* messages;
    code = "ok";
  } catch (error) {
    code = codeOf(error);
    throw error;
  } finally {
    ended(code);
  }
}

/** As Connect writes it: `invalid_argument`. */
function codeOf(error: unknown): string {
  const name = Code[ConnectError.from(error).code] ?? "Unknown";
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
