// Everything that `doctor` looks at, with and without a running node.
import type { Finding } from "../../broker/diagnostics.ts";
import { type Loaded, pickSettings } from "../../config/load.ts";
import type { Remark } from "../../config/remark.ts";
import { flagOf } from "../../config/setting.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "../../config/settings.ts";
import { BROKER_SETTING_NAMES } from "../broker-client.ts";
import type { Call } from "../command.ts";
import { URL_OPTION } from "../node-call.ts";
import { examineFiles } from "./files.ts";
import { doubt, type Found, fault, good, inGroup } from "./finding.ts";
import { examineMachine, examineStorage } from "./machine.ts";
import { examineNetwork } from "./network.ts";
import { askRunningNode, type RunningNode } from "./running-node.ts";

/** Problems of settings that stand on the command line itself: they concern this command, and no node. */
export function flagProblems({ flags }: Call, { problems }: Loaded): readonly Remark[] {
  return problems.filter(
    ({ setting }) => setting !== undefined && flags.has(flagOf(setting, settingOf(setting))),
  );
}

/** All findings, in no particular order. Faults of the call's options, and of a node that --url names. */
export async function allFindings(call: Call): Promise<Finding[]> {
  const loaded = call.settings();
  const picked = pickSettings(loaded, BROKER_SETTING_NAMES);
  const node = await askRunningNode(call, picked.ok ? picked.settings : undefined);
  if (call.options.has(URL_OPTION.name)) return [...node.findings];
  const { values } = node.isRunning ? call.settingsUnder(environmentOf(call, node)) : loaded;
  const { connected, away, isRunning, pid } = node;
  const secretFiles = secretFilesOf(call, loaded);
  const isPod = call.context.environment["KUBERNETES_SERVICE_HOST"] !== undefined;
  return [
    ...node.findings,
    ...inGroup("settings", examineSettings(loaded, isRunning)),
    ...inGroup("files", examineFiles({ values, secretFiles, nowMs: Date.now(), isPod })),
    ...inGroup("storage", examineStorage(values)),
    ...inGroup("machine", await examineMachine(pid)),
    ...inGroup("network", await examineNetwork({ values, connected, away, isRunning })),
  ];
}

/** What the node goes by, in place of what this shell would have it go by; secrets it tells nobody. */
function environmentOf({ context }: Call, node: RunningNode): Record<string, string | undefined> {
  const own = { ...context.environment };
  for (const name of SETTING_NAMES) {
    const { env, kind } = settingOf(name);
    const [variable = ""] = env;
    if (kind.isSecret || node.environment[variable] === undefined) continue;
    for (const each of env) own[each] = undefined;
    own[variable] = node.environment[variable];
  }
  return own;
}

/** The running node has its settings already: what this shell lacks is no problem of it. */
function examineSettings({ problems, warnings, origins }: Loaded, isRunning: boolean): Found[] {
  const remedy = "see docs/configuration.md; peat-sidecar check prints what is set, and by what";
  const say = isRunning ? doubt : fault;
  const found = problems.map(({ text }) =>
    say("settings", isRunning ? `as this command reads them: ${text}` : text, remedy),
  );
  found.push(...warnings.map(({ text }) => doubt("settings", text, remedy)));
  if (found.length > 0) return found;
  const files = new Set(
    Object.values(origins).flatMap(({ from, name }) =>
      from === "file" ? [name.slice(0, name.lastIndexOf(": "))] : [],
    ),
  );
  const from =
    files.size === 0 ? "variables and defaults" : `variables and ${[...files].join(", ")}`;
  return [good("settings", `all settings are valid (from ${from})`)];
}

/** Files that the settings read secrets from, by variable or flag. */
function secretFilesOf({ context, flags }: Call, { origins }: Loaded): Map<string, string> {
  const files = new Map<string, string>();
  for (const setting of SETTING_NAMES.filter((name) => settingOf(name).kind.isSecret)) {
    const path = secretFileOf(setting, { origins, flags, environment: context.environment });
    if (path !== undefined) files.set(origins[setting]?.name ?? setting, path);
  }
  return files;
}

function secretFileOf(
  setting: SettingName,
  {
    origins,
    flags,
    environment,
  }: Pick<Loaded, "origins"> & Pick<Call, "flags"> & Pick<Call["context"], "environment">,
): string | undefined {
  const origin = origins[setting];
  if (origin === undefined) return undefined;
  if (origin.from === "flag") return flags.get(origin.name.replace(/^--/, ""));
  if (origin.from === "default")
    return /^credential (?<path>\/.*)$/.exec(origin.name)?.groups?.["path"];
  // A secret itself has no path; only a variable that names a file does.
  return origin.name.endsWith("_FILE") ? environment[origin.name] : undefined;
}
