// Names that more than one node has, as far as this node has seen them. Each is told once, with the addresses and
// what to do; nothing else follows from it here.
import { type Clock, sleep } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { NodeName } from "../identity/peer.ts";
import { splitHome, type ToldPlaces } from "./home.ts";

const log = getLog("peat_mesh::peer_connector");

const COLLISIONS_MAX = 100;
/** Names of hosts that did not resolve are asked for again after this. */
const RESOLVE_AGAIN_MS = 30_000;

export interface NameCollision {
  readonly name: NodeName;
  /** Where the one is, then the other. */
  readonly addresses: readonly string[];
  /** One sentence for people, with the remedy. */
  readonly message: string;
  /** Ms since the Unix epoch. */
  readonly seenAtMs: number;
}

export class NameCollisions {
  readonly #clock: Clock;
  readonly #byName = new Map<NodeName, NameCollision>();
  readonly #comparing = new Set<NodeName>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get all(): readonly NameCollision[] {
    return [...this.#byName.values()];
  }

  /** Two nodes of one name that are both alive: both have been heard. */
  twins(name: NodeName, addresses: readonly string[]): void {
    const message = `two live nodes have the name ${name} (${addresses.join(", ")}); give each its own`;
    if (!this.#isNew({ name, addresses, message })) return;
    log.error(
      "Two live nodes have one name; give each its own (PEAT_NODE_ID, or PEAT_CLUSTER_NAME per cluster)",
      { peer: name, addresses },
    );
  }

  /** A static peer that is this node itself, or another with its name. */
  own(name: NodeName, listed: readonly string[], bound: readonly string[]): void {
    const message = `a static peer (${listed.join(", ")}) has this node's own name ${name}; give each its own`;
    if (!this.#isNew({ name, addresses: [...bound, ...listed], message })) return;
    log.error(
      "A static peer has this node's own identity; give each node its own name (PEAT_NODE_ID, PEAT_CLUSTER_NAME)",
      { node_id: name, addresses: listed, own_addresses: bound },
    );
  }

  /** Looks whether a static peer has the name of a pod that is elsewhere. */
  async compare(name: NodeName, told: ToldPlaces, signal: AbortSignal): Promise<void> {
    if (this.#comparing.has(name) || this.#byName.has(name)) return;
    this.#comparing.add(name);
    let split = await splitHome(told);
    while (split === "unknown" && !signal.aborted) {
      await sleep(this.#clock, RESOLVE_AGAIN_MS, signal);
      split = await splitHome(told);
    }
    this.#comparing.delete(name);
    if (split === undefined || split === "unknown" || signal.aborted) return;
    const { pod, listed } = split;
    const message = `static peer ${name} (${listed.join(", ")}) has the name of a pod of this cluster (${pod.join(", ")}); give each cluster its own PEAT_CLUSTER_NAME`;
    if (!this.#isNew({ name, addresses: [...pod, ...listed], message })) return;
    log.error(
      "A static peer has the name of a pod of this cluster, which is dialled in its place; give each cluster its own name (PEAT_CLUSTER_NAME)",
      { peer: name, addresses: listed, pod_addresses: pod },
    );
  }

  /** Whether it is to be told; of more than are kept nothing is. */
  #isNew(collision: Omit<NameCollision, "seenAtMs">): boolean {
    const isKnown = this.#byName.has(collision.name);
    if (!isKnown && this.#byName.size >= COLLISIONS_MAX) return false;
    this.#byName.set(collision.name, { ...collision, seenAtMs: this.#clock.now() });
    return !isKnown;
  }
}
