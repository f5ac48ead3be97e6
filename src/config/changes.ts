// Which settings a running node does not take when they are read again.
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

/** Settings that differ and are for the next start. Files that settings name are another matter: only paths count. */
export function changesForRestart(before: Config, after: Config): readonly SettingName[] {
  return SETTING_NAMES.filter((name) => {
    if (settingOf(name).reloads === true) return false;
    if (name === "discovery") return sourcesOf(before) !== sourcesOf(after);
    return textOf(name, before[name]) !== textOf(name, after[name]);
  });
}
