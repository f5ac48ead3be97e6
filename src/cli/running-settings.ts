// The settings that a running node goes by, each with where it came from, and what its files say otherwise now.
import type { SettingsDiff, SettingView, WaitingSetting } from "../broker/node-control.ts";
import { changedSettings, changesForRestart } from "../config/changes.ts";
import { configOf, type Loaded } from "../config/load.ts";
import { type Config, SETTING_NAMES, type SettingName, settingOf } from "../config/settings.ts";
import type { SettingsDesk } from "../node-operation.ts";

/** Settings with their origins. */
export interface Read {
  readonly loaded: Loaded;
  readonly config: Config;
}

function reloads(name: SettingName): boolean {
  return settingOf(name).reloads === true;
}

/** Of a secret only whether there is one. */
export function viewSetting(name: SettingName, { loaded, config }: Read): SettingView {
  const { kind, env } = settingOf(name);
  const value = config[name];
  const origin = loaded.origins[name];
  const from = origin === undefined || origin.from === "default" ? "" : `${origin.from} `;
  return {
    name,
    variable: env[0],
    value: value === undefined || kind.isSecret ? null : kind.print(value),
    isSecret: kind.isSecret,
    isSet: value !== undefined && !(Array.isArray(value) && value.length === 0),
    origin: `${from}${origin?.name ?? "default"}`,
  };
}

export class RunningSettings implements SettingsDesk {
  readonly atStart: Read;
  readonly #readAgain: () => Loaded;
  /** As a reload took it; only the settings that reload are in force of it. */
  #latest: Read;

  /** `readAgain` gives the settings as the node would find them now. */
  constructor(atStart: Read, readAgain: () => Loaded) {
    this.atStart = atStart;
    this.#readAgain = readAgain;
    this.#latest = atStart;
  }

  reloaded(latest: Read): void {
    this.#latest = latest;
  }

  /** Those that wait for a restart. */
  get waitingForRestart(): readonly SettingName[] {
    return changesForRestart(this.atStart.config, this.#latest.config);
  }

  get inForce(): readonly SettingView[] {
    return SETTING_NAMES.map((name) => {
      return viewSetting(name, reloads(name) ? this.#latest : this.atStart);
    });
  }

  diff(): SettingsDiff {
    const loaded = this.#readAgain();
    const read = configOf(loaded);
    return {
      waiting: read.ok ? this.#waiting({ loaded, config: read.settings }) : [],
      problems: read.ok ? [] : read.problems.map(({ text }) => text),
    };
  }

  #waiting(fresh: Read): WaitingSetting[] {
    const reloading = changedSettings(this.#latest.config, fresh.config).filter(reloads);
    const others = changesForRestart(this.atStart.config, fresh.config);
    const view = (takenBy: WaitingSetting["takenBy"]) => (name: SettingName) => ({
      ...viewSetting(name, fresh),
      takenBy,
    });
    return [...reloading.map(view("reload")), ...others.map(view("restart"))];
  }
}
