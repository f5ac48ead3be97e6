// The chart installed in a cluster by helm, seen through kubectl as an operator sees it.
import { join } from "node:path";
import { projectDir } from "../../../scripts/support/project.ts";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { LineProcess } from "../namespace.ts";
import type { AgentAnswer, AgentCommand } from "./broker-agent.ts";
import type { Cluster } from "./cluster.ts";
import type { Pod } from "./objects.ts";

const READY_LIMIT_MS = 120_000;
const AGENT_LIMIT_MS = 120_000;
const RELEASE = "peat-mesh";

export type Values = Readonly<Record<string, string | number | boolean>>;

export interface Summary {
  readonly documents: number;
  readonly root_hash: string;
}

export function newSecret(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
}

export class Installation {
  readonly cluster: Cluster;
  readonly #secret: string;

  constructor(cluster: Cluster, secret: string) {
    this.cluster = cluster;
    this.#secret = secret;
  }

  #helm(action: string, values: Values): Promise<string> {
    const all = { formationSecret: this.#secret, "image.pullPolicy": "Never", ...values };
    const sets = Object.entries(all).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
    const chart = join(projectDir, "deploy/helm/peat-mesh");
    return this.cluster.run(["helm", action, RELEASE, chart, ...sets]);
  }

  async install(values: Values): Promise<void> {
    await this.#helm("install", values);
  }

  async upgrade(values: Values): Promise<void> {
    await this.#helm("upgrade", values);
  }

  async uninstall(): Promise<void> {
    await this.cluster.run(["helm", "uninstall", RELEASE]);
    await waitFor(
      "the pods' end",
      READY_LIMIT_MS,
      () => this.pods().length === 0 || undefined,
      200,
    );
  }

  /** Resolves when all pods that are wanted are ready and of the newest template. */
  async rolledOut(statefulSet = RELEASE): Promise<void> {
    const limit = `--timeout=${READY_LIMIT_MS / 1000}s`;
    await this.cluster.run(["kubectl", "rollout", "status", `statefulset/${statefulSet}`, limit]);
  }

  pods(): Pod[] {
    const text = this.cluster.kubectl("get", "pods", "-l=app=peat-mesh", "-o=json");
    return (JSON.parse(text) as { items: Pod[] }).items;
  }

  /** What the broker of a pod answers, asked inside of the pod. */
  get<T>(pod: string, path: string): T {
    const asked = ["exec", pod, "--", "peat-mesh-node", "get", path];
    return JSON.parse(this.cluster.kubectl(...asked)) as T;
  }

  /** Resolves when all of these pods have the same documents, at least so many. */
  async equal(pods: readonly string[], documents = 0, limitMs = 60_000): Promise<Summary> {
    let failure: unknown;
    return await waitFor(
      `equal documents on ${pods.join(", ")}`,
      limitMs,
      () => {
        let summaries: readonly Summary[];
        try {
          summaries = pods.map((pod) => this.get<Summary>(pod, "/api/v1/summary"));
        } catch (error) {
          // A pod with half a processor may be late with an answer.
          failure = error;
          return undefined;
        }
        const [first] = summaries;
        const areEqual = summaries.every((one) => one.root_hash === first?.root_hash);
        return areEqual && (first?.documents ?? 0) >= documents ? first : undefined;
      },
      300,
    ).catch((error: unknown) => {
      throw failure === undefined ? error : new Error(String(error), { cause: failure });
    });
  }

  /** The token that writers need. */
  token(): string {
    const path = "-o=jsonpath={.data.api-token}";
    const text = this.cluster.kubectl("get", "secret", RELEASE, path);
    return Buffer.from(text, "base64").toString();
  }

  /** A client on the node that writes to a broker's URL. */
  agent(url: string): Agent {
    return new Agent(this.cluster, url, this.token());
  }
}

export class Agent implements AsyncDisposable {
  readonly #process: LineProcess<AgentAnswer>;

  constructor(cluster: Cluster, url: string, token: string) {
    const main = join(import.meta.dir, "broker-agent.ts");
    const command = [process.execPath, main, url, token];
    this.#process = new LineProcess(cluster.node.command(command));
  }

  async do(command: AgentCommand): Promise<AgentAnswer> {
    const before = this.#process.lines.length;
    this.#process.tell(JSON.stringify(command));
    return await this.#process.until(({ done }) => done === command.do, AGENT_LIMIT_MS, before);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
