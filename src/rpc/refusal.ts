// Answers to requests that come to no call: in the words of the protocol that the client speaks.
import { FAULTS, type Fault } from "../base/faults.ts";
import type { Request, Response } from "./connections.ts";
import { toConnectError } from "./errors.ts";

/** An answer that ends with its headers, where gRPC and gRPC-Web look for a status first. */
const GRPC = /^application\/grpc(-web)?(\+(proto|json))?$/;
const CONNECT_STREAM = /^application\/connect\+(proto|json)$/;

/** First byte of the last message of a stream of Connect's. */
const END_STREAM = 0b10;

/** A message of a stream: one byte of flags, four of length. */
function envelope(flags: number, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

export function refuse(request: Request, response: Response, fault: Fault): void {
  const type = request.headers["content-type"] ?? "";
  const { http, connect: code } = FAULTS[fault.code];
  const { message } = fault;
  if (GRPC.test(type)) {
    response.setHeader("content-type", type);
    response.setHeader("grpc-status", String(toConnectError(fault).code));
    response.setHeader("grpc-message", encodeURIComponent(message));
    response.end();
  } else if (CONNECT_STREAM.test(type)) {
    response.setHeader("content-type", type);
    response.end(envelope(END_STREAM, JSON.stringify({ error: { code, message } })));
  } else {
    // The broker's 408 is for the client's slowness; Connect has one status for every deadline.
    response.statusCode = code === "deadline_exceeded" ? 504 : http;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ code, message }));
  }
}

/** What is wrong is below all calls: text for people, which no client takes for the answer of one. */
export function refuseMethod(
  response: Response,
  sentence: string,
  allowed: readonly string[],
): void {
  response.statusCode = FAULTS.method_not_allowed.http;
  response.setHeader("allow", allowed.join(", "));
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(`${sentence}; use ${allowed.join(" or ")}\n`);
}
