// A watch of EndpointSlices on a virtual clock, against a scripted API server, with all that it has told.
import { SliceTable } from "../../../src/discovery/kubernetes-slices.ts";
import { SliceWatch, type WatchReport } from "../../../src/discovery/kubernetes-watch.ts";
import { type PeerEvent, parseNodeName } from "../../../src/identity/peer.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { ScriptedSlices } from "./scripted-slices.ts";

export class WatchWorld {
  readonly clock = new VirtualClock();
  readonly api = new ScriptedSlices();
  readonly reports: WatchReport[] = [];
  readonly events: PeerEvent[] = [];
  readonly #watch: SliceWatch;
  readonly #ended: Promise<void>;

  constructor(prepare: (api: ScriptedSlices) => void = () => undefined) {
    prepare(this.api);
    this.#watch = new SliceWatch({
      api: this.api,
      clock: this.clock,
      random: () => 0.5,
      rules: { clusterName: undefined, defaultPort: 11204 },
      table: new SliceTable(parseNodeName("self")),
      emit: (events) => this.events.push(...events),
      report: (report) => this.reports.push(report),
    });
    this.#ended = this.#watch.run();
  }

  /** Names of the peers that are there, by what was told. */
  get peers(): string[] {
    const names = new Set<string>();
    for (const event of this.events) {
      const { identity } = event.kind === "seen" ? event.peer : event;
      if (identity.kind !== "name") continue;
      if (event.kind === "seen") names.add(identity.name);
      else names.delete(identity.name);
    }
    return [...names];
  }

  pods(slice: string, ...names: readonly string[]): void {
    const pods = names.map((pod, i) => ({ pod, addresses: [`10.0.0.${i + 1}`] }));
    this.api.put({ name: slice, pods });
  }

  failures(kind: "list failed" | "watch failed"): number {
    return this.reports.filter((report) => report.kind === kind).length;
  }

  async close(): Promise<void> {
    this.#watch.close();
    await this.#ended;
  }
}
