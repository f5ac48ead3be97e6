// Follows the remote agent on this machine: what it says of itself, of deployed and of pulled packages becomes
// documents of this node. A look that finds nothing new writes nothing. When the agent is away its documents stay,
// and that of the node says that they are stale.
import { type Clock, sleep } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { documentKey } from "../store/document-key.ts";
import { type JsonObject, parseJsonObject } from "../store/json.ts";
import type { Store } from "../store/store.ts";
import { parseDeployments, parsePulledPackages, parseStatus } from "./answers.ts";
import { AgentClient, type AgentTarget, type AgentTls, printTarget } from "./client.ts";
import {
  type AgentDocuments,
  toDeploymentDocuments,
  toNodeDocument,
  toPackageDocuments,
} from "./documents.ts";
import type { AgentCall } from "./exchange.ts";
import { contentOf, mirror, toWrite } from "./mirror.ts";

const log = getLog("peat_mesh::agent_watcher");

export interface AgentWatcherOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The node's name: the agent's id in every document. */
  readonly nodeName: string;
  readonly target: AgentTarget;
  readonly tls: AgentTls;
  /** Between two looks. */
  readonly intervalSecs: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** What is known of the agent. */
export interface AgentState {
  readonly address: string;
  /** waiting: nothing has been heard yet; partly: some of the calls fail. */
  readonly kind: "waiting" | "answering" | "partly" | "away";
  /** Ms since the Unix epoch of its last answer. */
  readonly lastSeenMs: number | undefined;
  /** Why a call failed. */
  readonly problem: string | undefined;
}

/** Looks that must fail one after the other before what was said earlier is stale. */
const STALE_LOOKS = 3;
/** Longest time between two looks at an agent that is away, unless the interval itself is longer. */
const AWAY_SECS_MAX = 120;
/** Share of a longer time that is left to chance. */
const JITTER = 0.4;

const STATUS: AgentCall = { method: "GET", path: "/status" };

/** A list that the agent keeps: the documents of one collection. */
interface AgentList {
  readonly collection: string;
  readonly call: AgentCall;
  readonly read: (agentId: string, text: string) => AgentDocuments;
}

const LISTS: readonly AgentList[] = [
  {
    collection: "deployments",
    call: { method: "POST", path: "/zarfapi.v1.ZarfAPIService/ListPackages" },
    read: (agentId, text) => toDeploymentDocuments(agentId, parseDeployments(text)),
  },
  {
    collection: "packages",
    call: { method: "POST", path: "/registryapi.v1.RegistryService/ListPulledPackages" },
    read: (agentId, text) => toPackageDocuments(agentId, parsePulledPackages(text)),
  },
];

const NODES = "nodes";

/** One of the three calls: how it went. */
class Part {
  readonly collection: string;
  failures = 0;
  problem: string | undefined;

  constructor(collection: string) {
    this.collection = collection;
  }
}

export class AgentWatcher {
  readonly #options: AgentWatcherOptions;
  readonly #client: AgentClient;
  readonly #address: string;
  readonly #status = new Part(NODES);
  readonly #lists = LISTS.map((list) => ({ ...list, part: new Part(list.collection) }));
  readonly #parts = [this.#status, ...this.#lists.map(({ part }) => part)];
  #lastSeenMs: number | undefined;
  #failedLooks = 0;
  #refusal: string | undefined;

  constructor(options: AgentWatcherOptions) {
    this.#options = options;
    this.#client = new AgentClient(options);
    this.#address = printTarget(options.target);
  }

  state(): AgentState {
    const failing = this.#parts.filter(({ failures }) => failures > 0);
    let kind: AgentState["kind"] = this.#lastSeenMs === undefined ? "waiting" : "answering";
    if (failing.length > 0) kind = failing.length === this.#parts.length ? "away" : "partly";
    const [first] = failing;
    return {
      address: this.#address,
      kind,
      lastSeenMs: this.#lastSeenMs,
      problem: first?.problem,
    };
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    log.info("Agent watcher started", { agent: this.#address });
    while (!signal.aborted) {
      await this.look(signal);
      await sleep(clock, this.#pauseMs(), signal);
    }
  }

  /** One look: the three calls, and the documents that follow from their answers. */
  async look(signal: AbortSignal): Promise<void> {
    try {
      await this.#look(signal);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      // Of this node's own store: whatever was not written is tried again.
      this.#refused(error);
    } finally {
      this.#client.release();
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { nodeName } = this.#options;
    const before = this.state().kind;
    let refusal: Fault | undefined;
    let node: JsonObject | undefined;
    const isReachable = await this.#ask(this.#status, STATUS, signal, async (text) => {
      node = toNodeDocument(nodeName, parseStatus(text));
    });
    for (const { part, call, read } of this.#lists) {
      if (signal.aborted) return;
      if (!isReachable) {
        failed(part, this.#status.problem);
        continue;
      }
      await this.#ask(part, call, signal, async (text) => {
        const { collection } = part;
        const options = this.#mirrorOptions(collection);
        const { written, deleted, ...result } = await mirror(options, read(nodeName, text));
        refusal = result.refusal ?? refusal;
        if (written + deleted > 0) {
          log.debug("Documents of the agent changed", { collection, written, deleted });
        }
      });
    }
    if (signal.aborted) return;
    const isHeard = this.#parts.some(({ failures }) => failures === 0);
    this.#failedLooks = isHeard ? 0 : this.#failedLooks + 1;
    this.#tell(before);
    await this.#settleNode(node);
    this.#refused(refusal);
  }

  #mirrorOptions(collection: string) {
    const { store, clock, nodeName: agentId } = this.#options;
    return { store, collection, agentId, lastSeen: Math.floor(clock.now() / 1000) };
  }

  /** False when nobody listens. */
  async #ask(
    part: Part,
    call: AgentCall,
    signal: AbortSignal,
    take: (text: string) => Promise<void>,
  ): Promise<boolean> {
    let text: string;
    try {
      text = await this.#client.call(call, signal);
      await take(text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      failed(part, error.message);
      return error.code !== "address_unavailable";
    }
    part.failures = 0;
    part.problem = undefined;
    this.#lastSeenMs = this.#options.clock.now();
    return true;
  }

  /** The node's document: what the agent said of itself, now or before, and which of its documents are stale. */
  async #settleNode(told: JsonObject | undefined): Promise<void> {
    const { store, clock, nodeName } = this.#options;
    const key = documentKey(NODES, nodeName);
    const stored = store.get(key);
    const present = stored === undefined ? undefined : parseJsonObject(stored.json);
    const isOurs = present?.["agent_id"] === nodeName;
    const { last_seen: lastSeen, ...content } = present ?? {};
    const base = told ?? (isOurs ? content : undefined);
    if (base === undefined) return;
    const were = isOurs && Array.isArray(present["stale_parts"]) ? present["stale_parts"] : [];
    const parts = this.#parts.filter(({ collection, failures }) => {
      // One failed look says nothing yet: what was stale before a restart still is.
      return failures >= STALE_LOOKS || (failures > 0 && were.includes(collection));
    });
    const stale = { stale: parts.length > 0, stale_parts: parts.map((part) => part.collection) };
    const node = { ...base, ...stale };
    if (present !== undefined && contentOf(node) === contentOf(present)) return;
    const seenMs =
      this.#lastSeenMs ?? (typeof lastSeen === "number" ? lastSeen * 1000 : clock.now());
    await store.write(toWrite(key, node, Math.floor(seenMs / 1000)));
  }

  /** One line for each change. */
  #tell(before: AgentState["kind"]): void {
    const { kind, problem } = this.state();
    if (kind === before) return;
    const agent = this.#address;
    if (kind === "answering") {
      log.info("Remote agent answers", { agent, protocol: this.#client.speaks ?? "" });
    } else if (kind === "partly") {
      log.warn("Remote agent answers some calls only", { agent, cause: problem ?? "" });
    } else {
      log.warn("Remote agent does not answer; its documents stay as they are", {
        agent,
        cause: problem ?? "",
      });
    }
  }

  #refused(refusal: Fault | undefined): void {
    if (refusal !== undefined && this.#refusal === undefined) {
      log.warn("Documents of the agent are not all written", { cause: refusal.message });
    }
    this.#refusal = refusal?.message;
  }

  #pauseMs(): number {
    const { intervalSecs, random } = this.#options;
    const doublings = Math.min(Math.max(0, this.#failedLooks - STALE_LOOKS + 1), 8);
    if (doublings === 0) return intervalSecs * 1000;
    const secs = Math.min(intervalSecs * 2 ** doublings, Math.max(intervalSecs, AWAY_SECS_MAX));
    return secs * 1000 * (1 - JITTER / 2 + JITTER * random());
  }
}

function failed(part: Part, problem: string | undefined): void {
  part.failures += 1;
  part.problem = problem;
}
