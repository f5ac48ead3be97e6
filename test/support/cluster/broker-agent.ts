// bun test/support/cluster/broker-agent.ts: a client of brokers, run on the node, where pods and Services can be reached.
// Takes a command per line, and answers with one line of JSON each; remembers what it was promised.
import { createInterface } from "node:readline";
import { BrokerApi } from "../../../scripts/support/broker-api.ts";
import { forEachBounded } from "../../../scripts/support/waiting.ts";

const LANES = 16;
const ATTEMPT_LIMIT_MS = 5000;
const RETRY_MS = 100;

export type AgentCommand =
  /** Writes so many documents per second, each again until it is acknowledged, from now on. */
  | { readonly do: "write"; readonly collection: string; readonly perSecond: number }
  /** Ends that, once what was begun is acknowledged. */
  | { readonly do: "rest" }
  /** Ends that at once, and leaves open what is not acknowledged. */
  | { readonly do: "forsake" }
  /** Writes so many documents at once. */
  | { readonly do: "fill"; readonly collection: string; readonly documents: number }
  /** Which acknowledged documents a broker has not, or not as they were written. */
  | { readonly do: "check"; readonly collection: string; readonly url: string };

export interface AgentAnswer {
  readonly done: AgentCommand["do"];
  readonly acknowledged: number;
  readonly retries: number;
  readonly lost: readonly string[];
}

const [url = "", token = ""] = process.argv.slice(2);
const acknowledged = new Map<string, number>();
let retries = 0;
let next = 0;
let isWriting = false;
let isForsaken = false;
const pending = new Set<Promise<void>>();

/** Trying again would not help: whoever waits for an answer sees the end of this process. */
function refused(status: number): never {
  console.error(`PUT: ${status}`);
  process.exit(1);
}

async function put(collection: string): Promise<void> {
  const [id, value] = [`w${next}`, next];
  next += 1;
  while (!isForsaken) {
    try {
      const response = await fetch(`${url}/api/v1/documents/${collection}/${id}`, {
        method: "PUT",
        // A connection each: the Service picks a pod for it, as for a new client.
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${token}`,
          connection: "close",
        },
        body: JSON.stringify({ value }),
        signal: AbortSignal.timeout(ATTEMPT_LIMIT_MS),
      });
      await response.text();
      if (response.ok) {
        acknowledged.set(id, value);
        return;
      }
      if (response.status < 500) refused(response.status);
    } catch {
      // A pod that goes is what clients live with: they try again.
    }
    retries += 1;
    await Bun.sleep(RETRY_MS);
  }
}

async function write(collection: string, perSecond: number): Promise<void> {
  const startedMs = performance.now();
  let begun = 0;
  while (isWriting) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * perSecond);
    // No more at once than brokers work off: what is behind a pod that stops must not grow with the machine's slowness.
    for (; begun < due && pending.size < LANES; begun += 1) {
      const one = put(collection).finally(() => pending.delete(one));
      pending.add(one);
    }
    await Bun.sleep(1000 / perSecond);
  }
}

async function check(collection: string, broker: string): Promise<string[]> {
  const found = new Map<string, unknown>();
  for await (const document of new BrokerApi(broker).list(collection)) {
    found.set(String(document["_id"]), document["value"]);
  }
  return [...acknowledged].filter(([id, value]) => found.get(id) !== value).map(([id]) => id);
}

async function obey(command: AgentCommand): Promise<readonly string[]> {
  switch (command.do) {
    case "write":
      isWriting = true;
      void write(command.collection, command.perSecond);
      return [];
    case "rest":
      isWriting = false;
      await Promise.all(pending);
      return [];
    case "forsake":
      isWriting = false;
      isForsaken = true;
      await Promise.all(pending);
      return [];
    case "fill": {
      const numbers = Array.from({ length: command.documents }, (_, i) => i);
      await forEachBounded(numbers, LANES, () => put(command.collection));
      return [];
    }
    case "check":
      return check(command.collection, command.url);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as AgentCommand;
  const lost = await obey(command);
  const answer: AgentAnswer = {
    done: command.do,
    acknowledged: acknowledged.size,
    retries,
    lost,
  };
  console.log(JSON.stringify(answer));
}
