// What is wrong with one document, or with this node: looked up here, asked of every peer, judged, told.
import type { Clock } from "../base/clock.ts";
import { Room } from "../base/room.ts";
import type { Diagnostics, Explanation, Finding } from "../broker/diagnostics.ts";
import type { NodeView } from "../broker/node-view.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Versions } from "../store/standing.ts";
import type { Store } from "../store/store.ts";
import type { Coordinator } from "../sync/coordinator.ts";
import { causesOf, standOf } from "./causes.ts";
import { type ExaminedNode, examine } from "./examination.ts";
import { type FactSources, lookAtPeers } from "./facts.ts";
import type { Partings } from "./partings.ts";
import { verdictOf } from "./verdict.ts";

/** Questions at a time; each asks every peer. */
const UNDER_WAY_MAX = 16;

export interface ExplainerParts extends ExaminedNode {
  readonly nodeName: string;
  readonly status: Pick<NodeView, "readiness" | "starts">;
  readonly clock: Clock;
  readonly store: Store;
  readonly coordinator: Coordinator;
  /** From the start of the node on. */
  readonly partings: Partings;
}

export class Explainer implements Diagnostics {
  readonly #parts: ExplainerParts;
  readonly #sources: FactSources;
  readonly #room = new Room(UNDER_WAY_MAX, "such questions are under way already");

  constructor(parts: ExplainerParts) {
    const { coordinator, clock, partings } = parts;
    this.#parts = parts;
    this.#sources = { coordinator, clock, partings };
  }

  async explain(key: DocumentKey, withinMs: number): Promise<Explanation> {
    return await this.#room.during(async () => {
      const { store, coordinator, nodeName } = this.#parts;
      const facts = await lookAtPeers(this.#sources, key, withinMs);
      // After the answers: what arrived while they were waited for is the same by now.
      const here = store.standings.of(key);
      const peers = facts.map((peer) => standOf(here, peer));
      const { isSyncing } = coordinator.orders;
      const { isDiskFull } = store.standings;
      const causes = causesOf({ key, nodeName, here, isSyncing, isDiskFull, peers: facts });
      const versions = store.standings.versionsOf(key);
      const writers = this.#writersOf(versions);
      return { ...verdictOf(here, peers, causes), here, versions, writers, peers, causes };
    });
  }

  async examine(withinMs: number): Promise<readonly Finding[]> {
    return await this.#room.during(async () =>
      examine(this.#parts, await lookAtPeers(this.#sources, "", withinMs)),
    );
  }

  /** Starts of this node and of peers that are connected have names; of others nobody knows. */
  #writersOf(versions: Versions | undefined): string[] {
    const starts = versions?.starts ?? [];
    const names = this.#parts.status.starts();
    const named = starts.map((start) => names.get(start) ?? "an earlier start");
    return [...new Set<string>(named)].slice(0, WRITERS_MAX);
  }
}

const WRITERS_MAX = 16;
