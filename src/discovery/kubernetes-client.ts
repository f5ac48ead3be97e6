// The API server: EndpointSlices of one namespace, listed and watched. The Kubernetes library knows where the server
// is and what it trusts; the requests are made here, because whatever is read from a server must have an end.
import { type IncomingMessage, request as requestHttp } from "node:http";
import { type RequestOptions, request as requestHttps } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { Fault, messageOf } from "../base/faults.ts";
import { loadConfig, ownNamespace, type Place, serverOf } from "./kubernetes-credentials.ts";
import { RequestFailure, type SliceApi } from "./kubernetes-watch.ts";

/** Ends a watch on the server's side, so that no connection outlives a server that drains. */
const WATCH_SECS = 290;
const LIST_BYTES_MAX = 16 * 1024 * 1024;
const EVENT_BYTES_MAX = 4 * 1024 * 1024;
const REFUSAL_BYTES_MAX = 64 * 1024;
const REASON_CHARS_MAX = 400;

export interface KubernetesPlace extends Place {
  /** PEAT_DISCOVERY_NAMESPACE. */
  readonly namespace: string | undefined;
  readonly selector: string;
}

/** Where the server is, and what a request to it has to have. */
interface Prepared {
  readonly server: string;
  readonly options: RequestOptions;
}

export class KubernetesClient implements SliceApi {
  readonly namespace: string;
  readonly #place: KubernetesPlace;
  readonly #path: string;
  /** Undefined after a failure: what had been read may have been the cause. */
  #config: KubeConfig | undefined;
  #preparing: Promise<Prepared> | undefined;

  /** Fault `settings_invalid` when there are no credentials, or none that make sense. */
  constructor(place: KubernetesPlace) {
    this.#place = place;
    try {
      this.#config = loadConfig(place);
    } catch (cause) {
      const sentence = `Kubernetes discovery can't work: ${messageOf(cause)}; in a pod, mount a service account's token; elsewhere set KUBECONFIG, or PEAT_DISCOVERY to mdns or static`;
      throw new Fault("settings_invalid", sentence, {}, cause);
    }
    this.namespace = place.namespace ?? ownNamespace(place.root);
    this.#path = `/apis/discovery.k8s.io/v1/namespaces/${this.namespace}/endpointslices`;
  }

  async list(atLeast: string | undefined, signal: AbortSignal): Promise<unknown> {
    const query: Record<string, string> = { labelSelector: this.#place.selector };
    if (atLeast !== undefined) {
      query["resourceVersion"] = atLeast;
      query["resourceVersionMatch"] = "NotOlderThan";
    }
    const answer = await this.#get(query, signal);
    return parse(await readWhole(answer, LIST_BYTES_MAX));
  }

  async watch(from: string, signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    const answer = await this.#get(
      {
        labelSelector: this.#place.selector,
        watch: "true",
        allowWatchBookmarks: "true",
        resourceVersion: from,
        timeoutSeconds: String(WATCH_SECS),
      },
      signal,
    );
    return events(answer);
  }

  async #get(query: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
    const isFresh = this.#config === undefined;
    const answer = await this.#ask(query, signal);
    if (answer.statusCode === 200) return answer;
    // A token that was rotated: the file has a newer one than the library remembers.
    if (answer.statusCode === 401 && !isFresh) {
      answer.destroy();
      this.#config = undefined;
      return await this.#get(query, signal);
    }
    this.#config = undefined;
    throw await refusal(answer);
  }

  /** One at a time: a program of the kubeconfig's that makes credentials may never end. */
  #prepare(): Promise<Prepared> {
    this.#preparing ??= this.#makePrepared().finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  async #makePrepared(): Promise<Prepared> {
    this.#config ??= loadConfig(this.#place);
    const server = serverOf(this.#config);
    const options: RequestOptions = { headers: { accept: "application/json" } };
    await this.#config.applyToHTTPSOptions(options);
    return { server, options };
  }

  async #ask(query: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      const { server, options } = await unlessAborted(this.#prepare(), signal);
      const url = new URL(`${server}${this.#path}?${new URLSearchParams(query)}`);
      return await send(url, options, signal);
    } catch (error) {
      this.#config = undefined;
      throw new RequestFailure(messageOf(error));
    }
  }
}

/** What `work` resolves with; rejects when the signal aborts first. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(new Error("given up"));
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  return await Promise.race([work, aborted.promise]).finally(() =>
    signal.removeEventListener("abort", abort),
  );
}

/** Resolves with the head of the answer; the body breaks off when the signal aborts. */
function send(url: URL, options: RequestOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = (url.protocol === "http:" ? requestHttp : requestHttps)(url, options);
  const abort = () => request.destroy(new Error("given up"));
  request.on("response", (answer) => {
    const breakOff = () => answer.destroy(new Error("given up"));
    signal.addEventListener("abort", breakOff, { once: true });
    answer.on("close", () => signal.removeEventListener("abort", breakOff));
    resolve(answer);
  });
  request.on("error", (error) => reject(new Error(`${url.origin}: ${messageOf(error)}`)));
  signal.addEventListener("abort", abort, { once: true });
  request.on("close", () => signal.removeEventListener("abort", abort));
  if (signal.aborted) abort();
  request.end();
  return promise;
}

/** All of a body. RequestFailure when it is longer than `bytesMax` or breaks off. */
async function readWhole(answer: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(answer)) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new RequestFailure(`the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function* chunksOf(answer: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer) yield Buffer.from(chunk);
  } catch (error) {
    throw new RequestFailure(`the answer broke off: ${messageOf(error)}`);
  } finally {
    answer.destroy();
  }
}

/** One JSON value per line. RequestFailure when a line is too long, makes no sense, or breaks off. */
async function* events(answer: IncomingMessage): AsyncGenerator<unknown> {
  let rest: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(answer)) {
    let from = 0;
    for (let to = chunk.indexOf(10); to !== -1; to = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, to)]).toString("utf8");
      rest = [];
      bytes = 0;
      from = to + 1;
      if (line.trim() !== "") yield parse(line);
    }
    if (from === chunk.length) continue;
    rest.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > EVENT_BYTES_MAX) {
      throw new RequestFailure(`an event is longer than ${EVENT_BYTES_MAX} bytes`);
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestFailure("the answer is not JSON", 200);
  }
}

/** What a server says that does not answer with what was asked for. */
async function refusal(answer: IncomingMessage): Promise<RequestFailure> {
  const status = answer.statusCode ?? 0;
  const retryAfterSecs = Number(answer.headers["retry-after"]);
  let reason = answer.statusMessage ?? "";
  try {
    const told = parse(await readWhole(answer, REFUSAL_BYTES_MAX));
    if (typeof told === "object" && told !== null && "message" in told)
      reason = String(told.message);
  } catch {
    // A proxy's page instead of the server's JSON: the status has to be enough.
  }
  const told = reason.replaceAll(/\s+/g, " ").slice(0, REASON_CHARS_MAX);
  const text = `the API server answers ${status}${told === "" ? "" : `: ${told}`}`;
  return new RequestFailure(text, status, retryAfterSecs > 0 ? retryAfterSecs * 1000 : 0);
}
