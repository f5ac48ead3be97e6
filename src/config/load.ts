// Flags, environment, file and defaults become a Config, or all problems at once. Pure, given the Host.
import { checkTogether } from "./checks.ts";
import { CREDENTIAL_STORE, credentialName, SECRET_FOLDERS } from "./credentials.ts";
import { type FileEntry, readConfigFile } from "./file.ts";
import { fileProblem, isUnreadable } from "./host.ts";
import { ENVIRONMENT_NAMES, type Form, unknownVariables } from "./names.ts";
import type { Origin, Remark } from "./remark.ts";

import { flagOf, type Host, type Program, type World } from "./setting.ts";
import { type Config, SETTING_NAMES, type SettingName, settingOf } from "./settings.ts";

/** What makes the one secret that is needed, on a host that has the package. */
const SETUP = "peat-sidecar setup";

/** A configuration file's text, or why it can't be read. */
export type ConfigFile =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly problem: string };

export interface LoadInput {
  readonly program: Program;
  /** Flags by name without dashes. */
  readonly flags: ReadonlyMap<string, string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: ConfigFile | undefined;
  readonly host: Host;
}

export interface Loaded {
  /** Every setting that could be read; complete when there are no problems. */
  readonly values: Partial<Config>;
  readonly origins: Readonly<Partial<Record<SettingName, Origin>>>;
  readonly problems: readonly Remark[];
  readonly warnings: readonly Remark[];
}

interface Candidate {
  readonly origin: Origin;
  readonly form: Form;
  readonly text: string;
}

/** A candidate whose file, if it names one, has been read. */
interface Given {
  readonly origin: Origin;
  readonly text: string;
  readonly doubt?: string;
}

class Loader {
  readonly #input: LoadInput;
  readonly #fileEntries: readonly FileEntry[];
  readonly #texts = new Map<string, string>();
  readonly values = new Map<SettingName, unknown>();
  readonly origins: Partial<Record<SettingName, Origin>> = {};
  readonly problems: Remark[] = [];
  readonly warnings: Remark[] = [];

  constructor(input: LoadInput) {
    this.#input = input;
    this.#fileEntries = this.#readFile(input.file);
    for (const text of unknownVariables(input.environment)) this.warn(undefined, text);
  }

  #readFile(file: ConfigFile | undefined): readonly FileEntry[] {
    if (file === undefined) return [];
    if ("problem" in file) {
      this.#problem(undefined, file.problem);
      return [];
    }
    const { entries, problems } = readConfigFile(file.text);
    for (const problem of problems) this.#problem(undefined, `${file.path}: ${problem}`);
    return entries;
  }

  #problem(setting: SettingName | undefined, text: string): void {
    this.problems.push({ setting, text });
  }

  warn(setting: SettingName | undefined, text: string): void {
    this.warnings.push({ setting, text });
  }

  #fromFlags(name: SettingName): Candidate[] {
    const setting = settingOf(name);
    const flag = flagOf(name, setting);
    const text = this.#input.flags.get(flag);
    const form: Form = setting.kind.isSecret ? "file" : "value";
    return text === undefined ? [] : [{ origin: { from: "flag", name: `--${flag}` }, form, text }];
  }

  #fromEnvironment(name: SettingName): Candidate[] {
    const candidates: Candidate[] = [];
    for (const [variable, known] of ENVIRONMENT_NAMES) {
      if (known.setting !== name) continue;
      const text = this.#input.environment[variable];
      // Set but empty is not given: charts and env files write settings that way.
      const isGiven = text !== undefined && (text.trim() !== "" || settingOf(name).emptyIsValue);
      if (!isGiven) continue;
      candidates.push({ origin: { from: "environment", name: variable }, form: known.form, text });
    }
    return candidates;
  }

  #fromFile(name: SettingName): Candidate[] {
    const path = this.#input.file?.path ?? "";
    return this.#fileEntries
      .filter((entry) => entry.setting === name)
      .map(({ key, form, text }) => ({
        origin: { from: "file", name: `${path}: ${key}` },
        form,
        text,
      }));
  }

  #read(name: SettingName, candidate: Candidate): Given | undefined {
    if (candidate.form === "value") return candidate;
    try {
      const text = this.#input.host.readText(candidate.text).replace(/[\r\n]+$/, "");
      return { origin: candidate.origin, text };
    } catch (error) {
      this.#problem(name, `${candidate.origin.name}: ${fileProblem(candidate.text, error)}`);
      return undefined;
    }
  }

  /** The value of the first source that has one; undefined when none has, or after a problem. */
  #given(name: SettingName): { readonly isGiven: boolean; readonly given?: Given } {
    for (const source of [
      this.#fromFlags(name),
      this.#fromEnvironment(name),
      this.#fromFile(name),
    ]) {
      if (source.length === 0) continue;
      const read = source.map((candidate) => this.#read(name, candidate));
      const [first] = read;
      if (first === undefined || read.includes(undefined)) return { isGiven: true };
      const other = read.find((given) => given?.text.trim() !== first.text.trim());
      if (other === undefined) return { isGiven: true, given: first };
      const names = `${first.origin.name} and ${other.origin.name}`;
      this.#problem(name, `${names} mean the same and have different values; set only one`);
      return { isGiven: true };
    }
    return { isGiven: false };
  }

  /** A file of the secret's name where secrets are kept: `peat-formation-secret` for PEAT_FORMATION_SECRET. */
  #credential(name: SettingName): Given | undefined {
    const { program, environment, host } = this.#input;
    const { env, kind } = settingOf(name);
    if (!kind.isSecret) return undefined;
    const given = environment["CREDENTIALS_DIRECTORY"] ?? "";
    const folders = given === "" ? [] : [given];
    if (program === "peat-sidecar") folders.push(...SECRET_FOLDERS);
    for (const folder of folders) {
      const path = `${folder}/${credentialName(env[0])}`;
      try {
        const text = host.readText(path).replace(/[\r\n]+$/, "");
        return { origin: { from: "default", name: `credential ${path}` }, text };
      } catch (error) {
        // Most are not there, and who may not look into systemd's folder does without. One that is there was meant.
        if (folder !== CREDENTIAL_STORE && isUnreadable(error)) {
          this.#problem(name, fileProblem(path, error));
        }
      }
    }
    return undefined;
  }

  #fallback(name: SettingName): Given | undefined {
    const credential = this.#credential(name);
    if (credential !== undefined) return credential;
    const { env, fallback, kind } = settingOf(name);
    switch (fallback.kind) {
      case "text": {
        const text = fallback.texts[this.#input.program];
        return { origin: { from: "default", name: "default" }, text };
      }
      case "found": {
        const { program, environment, host } = this.#input;
        const text = (setting: string) => this.#texts.get(setting);
        const world: World = { program, environment, host, text };
        const found = fallback.find(world);
        if (found === undefined) return undefined;
        const given = { origin: { from: "default", name: found.name } as const, text: found.text };
        return found.doubt === undefined ? given : { ...given, doubt: found.doubt };
      }
      case "required": {
        const setup = this.#input.program === "peat-sidecar" ? `run: ${SETUP}; or set it to ` : "";
        const need = `${env[0]} is required: ${setup}${kind.rule}; or ${env[0]}_FILE with its path`;
        this.#problem(name, need);
        return undefined;
      }
      case "none":
        return undefined;
    }
  }

  /** Warns of a value that differs from the default and changes nothing. */
  #warnWithoutEffect(name: SettingName, origin: Origin): void {
    const { fallback, effective, kind } = settingOf(name);
    if (effective !== false) return;
    if (fallback.kind === "text" && !kind.isSecret) {
      const normal = kind.parse(fallback.texts[this.#input.program]);
      if (normal.ok && kind.print(normal.value) === this.#texts.get(name)) return;
    }
    this.warn(name, `${origin.name} is accepted but has no effect in this version`);
  }

  settle(name: SettingName): void {
    const { kind } = settingOf(name);
    const { isGiven, given } = this.#given(name);
    const chosen = isGiven ? given : this.#fallback(name);
    if (chosen === undefined) return;
    const { origin } = chosen;
    this.origins[name] = origin;
    const read = kind.parse(chosen.text);
    if (!read.ok) {
      this.#problem(name, `${origin.name}: ${read.problem}`);
      return;
    }
    this.values.set(name, read.value);
    if (!kind.isSecret) this.#texts.set(name, kind.print(read.value));
    if (chosen.doubt !== undefined) this.warn(name, chosen.doubt);
    if (read.doubt !== undefined) this.warn(name, `${origin.name}: ${read.doubt}`);
    if (isGiven) this.#warnWithoutEffect(name, origin);
  }
}

/** A peer list is of no use unless it is used: whoever gives one means it. */
function addStatic(values: Partial<Config>, origins: Partial<Record<SettingName, Origin>>): void {
  const { discovery, staticPeers } = values;
  if (discovery === undefined || staticPeers === undefined || staticPeers.length === 0) return;
  if (discovery.includes("static")) return;
  const before = origins.discovery;
  Object.assign(values, { discovery: [...discovery, "static"] });
  if (before === undefined) return;
  const name = `${before.name} + ${origins.staticPeers?.name ?? "static peers"}`;
  origins.discovery = { from: before.from, name };
}

/** Reads every setting from every source; says all that is wrong, not only the first. */
export function loadSettings(input: LoadInput): Loaded {
  const loader = new Loader(input);
  for (const name of SETTING_NAMES) loader.settle(name);
  // Each value was made by the kind of its own row, which is where Config takes its type from.
  const values = Object.fromEntries(loader.values) as Partial<Config>;
  Object.assign(values, { program: input.program });
  addStatic(values, loader.origins);
  const together = checkTogether(values, input.host);
  return {
    values,
    origins: loader.origins,
    problems: [...loader.problems, ...together.problems],
    warnings: [...loader.warnings, ...together.warnings],
  };
}

/** Some settings, or the problems that concern them. */
export type Picked<K extends keyof Config> =
  | { readonly ok: true; readonly settings: Pick<Config, K> }
  | {
      readonly ok: false;
      readonly problems: readonly Remark[];
      readonly warnings: readonly Remark[];
    };

/** Settings that a command needs; problems of others don't hinder it. */
export function pickSettings<K extends SettingName>(
  loaded: Loaded,
  names: readonly K[],
): Picked<K | "program"> {
  const isNeeded = (remark: Remark) =>
    remark.setting === undefined || names.some((name) => name === remark.setting);
  const problems = loaded.problems.filter(isNeeded);
  if (problems.length > 0) return { ok: false, problems, warnings: loaded.warnings };
  // Without a problem each of these has been read, or is optional and absent.
  return { ok: true, settings: loaded.values as Pick<Config, K | "program"> };
}

/** All settings, or all problems. */
export function configOf(loaded: Loaded): Picked<keyof Config> {
  const { problems, warnings } = loaded;
  if (problems.length > 0) return { ok: false, problems, warnings };
  // Without a problem each setting has been read, or is optional and absent.
  return { ok: true, settings: loaded.values as Config };
}
