// Which settings differ when they are read again, and which of them a running node does not take.
import { Secret } from "../base/secret.ts";
import { type Config, SETTING_NAMES, type SettingName, settingOf } from "./settings.ts";

/** For comparing only: of secrets it is what they hold. */
function textOf(name: SettingName, value: unknown): string {
  const { kind } = settingOf(name);
  if (value === undefined || !kind.isSecret) return value === undefined ? "" : kind.print(value);
  const secrets: readonly unknown[] = Array.isArray(value) ? value : [value];
  return secrets
    .map((secret) => String(secret instanceof Secret ? secret.expose() : secret))
    .join("\n");
}

/** A list of peers adds its source by itself, and takes it away again. */
function sourcesOf({ discovery }: Config): string {
  return discovery.filter((kind) => kind !== "static").join(",");
}

/** Settings that differ. Files that settings name are another matter: only paths count. */
export function changedSettings(before: Config, after: Config): readonly SettingName[] {
  return SETTING_NAMES.filter((name) => {
    if (name === "discovery") return sourcesOf(before) !== sourcesOf(after);
    return textOf(name, before[name]) !== textOf(name, after[name]);
  });
}

/** Of those that differ the ones that a running node does not take. */
export function changesForRestart(before: Config, after: Config): readonly SettingName[] {
  return changedSettings(before, after).filter((name) => settingOf(name).reloads !== true);
}
