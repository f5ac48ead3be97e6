// The bundles that this node has sent, as their documents tell of them: nothing about them is kept anywhere else.
import type { Distribution } from "./distribution.ts";
import type { Distributions } from "./distributions.ts";
import { identityOf } from "./send-request.ts";
import { BundleWatch } from "./watch.ts";

export interface Bundle {
  readonly id: string;
  /** By place of the file. */
  readonly distributions: readonly Distribution[];
  readonly identity: string;
  readonly isUnfinished: boolean;
  readonly isCompleted: boolean;
  /** All files are there. A process that died in the middle of a send leaves a part of them. */
  readonly isWhole: boolean;
  /** Ms since the Unix epoch; of a bundle that is over. */
  readonly endedAt: number;
}

function toBundle(id: string, distributions: readonly Distribution[]): Bundle {
  const ordered = distributions.toSorted((a, b) => a.fileIndex - b.fileIndex);
  const files = ordered.map(({ source: { root, path }, size, sha256 }) => ({
    root,
    path,
    size,
    sha256,
  }));
  return {
    id,
    distributions: ordered,
    identity: identityOf(files),
    isUnfinished: ordered.some(({ verdict }) => verdict === "distributing"),
    isCompleted: ordered.every(({ verdict }) => verdict === "completed"),
    isWhole: ordered.length === ordered[0]?.fileCount,
    endedAt: Math.max(...ordered.map(({ endedAt, startedAt }) => endedAt ?? startedAt)),
  };
}

export class Bundles {
  readonly #sender: string;
  /** Bundle of each distribution of ours. */
  readonly #bundleOf = new Map<string, string>();
  readonly #members = new Map<string, Map<string, Distribution>>();
  readonly #watches = new Map<string, Set<BundleWatch>>();

  constructor(distributions: Distributions, sender: string) {
    this.#sender = sender;
    distributions.onHeard((id, distribution) => this.#heard(id, distribution));
  }

  get(id: string): Bundle | undefined {
    const members = this.#members.get(id);
    return members && toBundle(id, [...members.values()]);
  }

  all(): readonly Bundle[] {
    return [...this.#members].map(([id, members]) => toBundle(id, [...members.values()]));
  }

  /** Distributions that are not over. */
  unfinished(): readonly Distribution[] {
    const all = [...this.#members.values()].flatMap((members) => [...members.values()]);
    return all.filter(({ verdict }) => verdict === "distributing");
  }

  /** Known at once, before their documents are heard of. */
  add(distributions: readonly Distribution[]): void {
    for (const distribution of distributions) this.#remember(distribution);
  }

  /** Undefined for an unknown one. To be closed. */
  watch(id: string): BundleWatch | undefined {
    const bundle = this.get(id);
    if (bundle === undefined) return undefined;
    const watches = this.#watches.get(id) ?? new Set();
    this.#watches.set(id, watches);
    const watch = new BundleWatch(bundle.distributions, () => {
      watches.delete(watch);
      if (watches.size === 0) this.#watches.delete(id);
    });
    watches.add(watch);
    return watch;
  }

  close(): void {
    for (const watches of [...this.#watches.values()]) {
      for (const watch of [...watches]) watch.close();
    }
  }

  #remember(distribution: Distribution): void {
    const { id, bundleId } = distribution;
    this.#bundleOf.set(id, bundleId);
    const members = this.#members.get(bundleId) ?? new Map();
    this.#members.set(bundleId, members.set(id, distribution));
  }

  #heard(id: string, distribution: Distribution | undefined): void {
    const ours = distribution?.sender === this.#sender ? distribution : undefined;
    if (ours !== undefined) this.#remember(ours);
    const bundleId = this.#bundleOf.get(id);
    if (bundleId === undefined) return;
    if (ours === undefined) this.#forget(id, bundleId);
    for (const watch of [...(this.#watches.get(bundleId) ?? [])]) watch.changed(id, ours);
  }

  #forget(id: string, bundleId: string): void {
    this.#bundleOf.delete(id);
    const members = this.#members.get(bundleId);
    members?.delete(id);
    if (members?.size === 0) this.#members.delete(bundleId);
  }
}
