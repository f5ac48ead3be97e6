// What operators see of the process and switch in it, drawn from the services that know.
import type { Clock } from "./base/clock.ts";
import { fileBytes } from "./base/file-bytes.ts";
import type {
  ListenerView,
  LogControl,
  NodeControl,
  ProcessView,
  SettingsDiff,
  SettingView,
} from "./broker/node-control.ts";
import { buildInfo } from "./build-info.ts";
import type { Formation } from "./identity/formation.ts";
import type { Network } from "./net/link.ts";
import type { Coordinator } from "./sync/coordinator.ts";

export interface SettingsDesk {
  /** As the files have them that were read, whatever was ordered since. */
  readonly inForce: readonly SettingView[];
  /** As NodeControl.settingsDiff. */
  diff(): SettingsDiff;
}

/** What the process around the node knows. */
export interface OperatorDesk {
  readonly log: LogControl;
  readonly settings: SettingsDesk;
}

export interface OperationParts {
  readonly desk: OperatorDesk;
  /** The name under which the process was started. */
  readonly program: string;
  readonly clock: Clock;
  readonly network: Pick<Network, "id" | "boundAddresses">;
  readonly coordinator: Pick<Coordinator, "orders">;
  readonly formation: Pick<Formation, "ownTag">;
  /** Its write-ahead log lies beside it. */
  readonly databasePath: string;
}

export class NodeOperation implements NodeControl {
  readonly #parts: OperationParts;
  readonly #startedAtMs: number;
  readonly #listeners: ListenerView[] = [];

  constructor(parts: OperationParts) {
    this.#parts = parts;
    this.#startedAtMs = parts.clock.now();
  }

  get log(): LogControl {
    return this.#parts.desk.log;
  }

  settings(): readonly SettingView[] {
    const { inForce } = this.#parts.desk.settings;
    const { filter, isOrdered } = this.log.filter;
    if (!isOrdered) return inForce;
    const ordered = { value: filter, origin: "ordered by an operator" };
    return inForce.map((setting) =>
      setting.name === "logFilter" ? { ...setting, ...ordered } : setting,
    );
  }

  settingsDiff(): SettingsDiff {
    return this.#parts.desk.settings.diff();
  }

  /** Told of from now on. */
  listening(listener: ListenerView): void {
    this.#listeners.push(listener);
  }

  get isSyncing(): boolean {
    return this.#parts.coordinator.orders.isSyncing;
  }

  setSyncing(isWanted: boolean): void {
    const { orders } = this.#parts.coordinator;
    if (isWanted) orders.startSync();
    else orders.stopSync();
  }

  process(): ProcessView {
    const { program, network, formation, databasePath } = this.#parts;
    const iroh = network.boundAddresses.map((address) => ({ kind: "iroh" as const, address }));
    return {
      program,
      commit: buildInfo.commit,
      endpointId: network.id,
      formationTag: formation.ownTag,
      startedAtMs: this.#startedAtMs,
      databaseBytes: fileBytes(databasePath),
      walBytes: fileBytes(`${databasePath}-wal`),
      listeners: [...this.#listeners, ...iroh],
    };
  }
}
