// The names under which each source may give a setting, and what is said of names that mean nothing.
import { suggestion } from "./nearest.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "./settings.ts";

/** Whether the text is the value, or the path of a file that holds it. */
export type Form = "value" | "file";

export interface KnownName {
  readonly setting: SettingName;
  readonly form: Form;
}

function namesBy(spell: (setting: SettingName) => readonly string[], fileSuffix: string) {
  const names = new Map<string, KnownName>();
  for (const setting of SETTING_NAMES) {
    for (const name of spell(setting)) {
      names.set(name, { setting, form: "value" });
      if (settingOf(setting).kind.isSecret) {
        names.set(`${name}${fileSuffix}`, { setting, form: "file" });
      }
    }
  }
  return names;
}

/** Environment variables; every secret also as NAME_FILE. */
export const ENVIRONMENT_NAMES: ReadonlyMap<string, KnownName> = namesBy(
  (setting) => settingOf(setting).env,
  "_FILE",
);

/** Keys of the configuration file: property names, and the chart's keys with dots between levels. */
export const FILE_KEYS: ReadonlyMap<string, KnownName> = namesBy((setting) => {
  const { chart } = settingOf(setting);
  return chart === undefined || chart === setting ? [setting] : [setting, chart];
}, "File");

/** Variables of the older sidecar and node that mean nothing here, with what to do instead. */
export const FOREIGN_NAMES: ReadonlyMap<string, string> = new Map([
  ["PEAT_NODE_APP_ID", "the formation secret alone says who belongs together; remove it"],
  ["PEAT_NODE_AUTO_SYNC", "syncing is always on; remove it"],
  ["PEAT_NODE_DISABLE_MDNS", "leave mdns out of PEAT_DISCOVERY instead"],
  ["PEAT_NODE_ENABLE_KUBERNETES_DISCOVERY", "put kubernetes into PEAT_DISCOVERY instead"],
  ["PEAT_NODE_PRINT_CONFIG", "use the command check instead"],
  ["PEAT_NODE_TOMBSTONE_TTL_HOURS", "use PEAT_DELETION_POLICIES instead"],
  ["PEAT_NODE_DISCOVERY_LABEL_SELECTOR", "use PEAT_DISCOVERY_LABEL_SELECTOR instead"],
]);

/** Kubernetes puts variables for Services into every pod; a Service named peat-… is not a typing error. */
function isServiceLink(name: string, value: string): boolean {
  return (
    /_SERVICE_(?:HOST|PORT)(?:_|$)/.test(name) ||
    /_PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(value))
  );
}

/** A sentence for each `PEAT_*` variable that means nothing. */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const sentences: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith("PEAT_") || value === undefined) continue;
    if (ENVIRONMENT_NAMES.has(name) || isServiceLink(name, value)) continue;
    const remedy = FOREIGN_NAMES.get(name);
    sentences.push(
      remedy === undefined
        ? `${name} is no setting${suggestion(name, ENVIRONMENT_NAMES.keys())}`
        : `${name} has no meaning here: ${remedy}`,
    );
  }
  return sentences;
}
