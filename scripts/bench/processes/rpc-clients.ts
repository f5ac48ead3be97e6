// Clients of an RPC server, in a process of their own: `bun rpc-clients.ts '<JSON of a Job>'` prints what they saw as
// one line of JSON.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DocumentChangeSchema,
  GetDocumentRequestSchema,
  PutDocumentRequestSchema,
  SubscribeRequestSchema,
} from "../../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { callHeaders, RawHttp2 } from "../../support/raw-http2.ts";
import { positionReport } from "../documents.ts";
import type { Job, LoadResult, SubscribersResult } from "../rpc-jobs.ts";

const COLLECTION = "reports";
const UNARY = "application/proto";

function putBody(id: string, revision: number): Buffer {
  const jsonData = JSON.stringify({ ...positionReport(Number(id.split("-")[1]), revision) });
  const message = { collection: COLLECTION, docId: id, jsonData };
  return Buffer.from(toBinary(PutDocumentRequestSchema, create(PutDocumentRequestSchema, message)));
}

function getBody(id: string): Buffer {
  const message = { collection: COLLECTION, docId: id };
  return Buffer.from(toBinary(GetDocumentRequestSchema, create(GetDocumentRequestSchema, message)));
}

function connectAll(port: number, connections: number): Promise<RawHttp2[]> {
  return Promise.all(Array.from({ length: connections }, () => RawHttp2.connect(port)));
}

function laneOf(links: readonly RawHttp2[], index: number): RawHttp2 {
  const link = links[index % links.length];
  if (link === undefined) throw new Error("there are no connections");
  return link;
}

/** One after the other, as a client that waits for each answer. */
function runClient(
  link: RawHttp2,
  calls: readonly { head: Buffer; body: Buffer }[],
  times: number[],
): Promise<number> {
  return new Promise((resolve) => {
    let index = 0;
    let failures = 0;
    const next = () => {
      const call = calls[index];
      if (call === undefined) {
        resolve(failures);
        return;
      }
      index += 1;
      const startedMs = performance.now();
      link.call(call.head, call.body, {
        done: (isGood) => {
          times.push(performance.now() - startedMs);
          if (!isGood) failures += 1;
          next();
        },
      });
    };
    next();
  });
}

async function load(job: Extract<Job, { kind: "load" }>): Promise<LoadResult> {
  const links = await connectAll(job.port, job.connections);
  const head = callHeaders(job.call, UNARY);
  const bodyOf = job.call === "PutDocument" ? putBody : getBody;
  const clients = Array.from({ length: job.clients }, (_, client) =>
    Array.from({ length: job.callsEach }, (_unused, n) => ({
      head,
      body: bodyOf(`r-${client * job.documentsEach + (n % job.documentsEach)}`, n),
    })),
  );
  const times: number[] = [];
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const failures = await Promise.all(
    clients.map((calls, index) => runClient(laneOf(links, index), calls, times)),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const link of links) link.close();
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0;
  return {
    calls: times.length,
    failures: failures.reduce((sum, count) => sum + count, 0),
    seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    clientCpuSeconds: (user + system) / 1e6,
  };
}

/** Messages of a Connect stream: a byte of flags, four of length, then the message. */
class Envelopes {
  #rest: Buffer = Buffer.alloc(0);

  *take(chunk: Buffer): Generator<Buffer> {
    // A copy: the socket's buffer is used again.
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 5) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      yield bytes.subarray(at + 5, end);
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}

async function subscribers(job: Extract<Job, { kind: "subscribers" }>): Promise<SubscribersResult> {
  const links = await connectAll(job.port, job.connections);
  const [own] = await connectAll(job.port, 1);
  if (own === undefined) throw new Error("there is no connection");
  const message = create(SubscribeRequestSchema, { collections: ["live"] });
  const wish = toBinary(SubscribeRequestSchema, message);
  const body = Buffer.concat([Buffer.alloc(5), wish]);
  body.writeUInt32BE(wish.length, 1);
  const head = callHeaders("Subscribe", "application/connect+proto");

  let failures = 0;
  let arrived = 0;
  const first: number[] = [];
  const all: number[] = [];
  const answered: number[] = [];
  let startedMs = 0;
  let round = Promise.withResolvers<void>();
  const heard = (isDecoded: boolean, bytes: Buffer) => {
    // One of them reads what it is sent; the bytes are the same for all.
    if (isDecoded) fromBinary(DocumentChangeSchema, bytes);
    arrived += 1;
    if (arrived === 1) first.push(performance.now() - startedMs);
    if (arrived === job.subscribers) {
      all.push(performance.now() - startedMs);
      round.resolve();
    }
  };
  for (let n = 0; n < job.subscribers; n += 1) {
    const envelopes = new Envelopes();
    laneOf(links, n).call(head, body, {
      data: (chunk) => {
        for (const bytes of envelopes.take(chunk)) heard(n === 0, bytes);
      },
      done: () => {
        failures += 1;
        round.resolve();
      },
    });
  }
  const putHead = callHeaders("PutDocument", UNARY);
  const put = (n: number) => {
    const jsonData = JSON.stringify(positionReport(n));
    const request = create(PutDocumentRequestSchema, {
      collection: "live",
      docId: "one",
      jsonData,
    });
    const bytes = Buffer.from(toBinary(PutDocumentRequestSchema, request));
    return new Promise<boolean>((resolve) => {
      const done = (isGood: boolean) => {
        answered.push(performance.now() - startedMs);
        resolve(isGood);
      };
      own.call(putHead, bytes, { done });
    });
  };
  const cpuBefore = process.cpuUsage();
  for (let n = 0; n <= job.puts; n += 1) {
    round = Promise.withResolvers();
    arrived = 0;
    startedMs = performance.now();
    const isPut = put(n);
    await round.promise;
    if (!(await isPut)) failures += 1;
    if (failures > 0) break;
    // The first round waits for everybody to be subscribed, which is not what is measured.
    if (n === 0) for (const times of [answered, first, all]) times.length = 0;
    await Bun.sleep(job.pauseMs);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const result = { answered, first, all, failures, clientCpuSeconds: (user + system) / 1e6 };
  for (const link of [...links, own]) link.close();
  return result;
}

const job = JSON.parse(process.argv[2] ?? "{}") as Job;
const result = job.kind === "load" ? await load(job) : await subscribers(job);
console.log(JSON.stringify(result));
process.exit(0);
