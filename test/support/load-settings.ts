// Settings loaded from what a test gives, with a secret and a host that are always there.
import { configOf, type Loaded, type LoadInput, loadSettings } from "../../src/config/load.ts";
import type { Host } from "../../src/config/setting.ts";
import type { Config, SettingName } from "../../src/config/settings.ts";

export const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
export const OTHER_SECRET = "KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKio=";

function hostWith(files: Readonly<Record<string, string>> = {}): Host {
  return {
    hostName: () => "bench-7",
    isWritableDirectory: (path) => path in files,
    readText(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error("missing"), { code: "ENOENT" });
      return text;
    },
  };
}

export interface Given {
  readonly program?: LoadInput["program"];
  readonly flags?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly yaml?: string;
  readonly files?: Readonly<Record<string, string>>;
}

export function load(given: Given = {}, secret: string | null = SECRET): Loaded {
  const { program = "peat-mesh-node", flags = {}, environment = {}, yaml, files } = given;
  const withSecret = secret === null ? {} : { PEAT_FORMATION_SECRET: secret };
  return loadSettings({
    program,
    flags: new Map(Object.entries(flags)),
    environment: { HOSTNAME: "pod-3", ...withSecret, ...environment },
    file: yaml === undefined ? undefined : { path: "c.yaml", text: yaml },
    host: hostWith(files),
  });
}

export function config(given?: Given): Config {
  const read = configOf(load(given));
  if (!read.ok) throw new Error(read.problems.map(({ text }) => text).join("\n"));
  return read.settings;
}

export const problems = (given?: Given) => load(given).problems.map(({ text }) => text);
export const warnings = (given?: Given) => load(given).warnings.map(({ text }) => text);
export const origin = (setting: SettingName, given?: Given) => load(given).origins[setting]?.name;
