// A process keeps the environment that it was started with. What `reload` was given by systemd, which reads the
// environment file again for it, comes to the running node as a file in the runtime directory:
//
//   reload.json           {"PEAT_STATIC_PEERS": "…", …}; the node removes it when it has taken or refused them
//   reload-refused.json   ["PEAT_STATIC_PEERS: must be …", …]; written before that, when it refuses them
//
// Both have mode 0600.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readPrivateFile, writePrivateFile } from "../base/private-file.ts";
import { ENVIRONMENT_NAMES } from "./names.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const GIVEN = "reload.json";
const REFUSED = "reload-refused.json";
const MODE = 0o600;
const BYTES_MAX = 1024 * 1024;

function settingsIn(environment: Environment): Environment {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => ENVIRONMENT_NAMES.has(name)),
  );
}

/** Undefined for what is missing, not to be believed, or no JSON. */
function read(path: string): unknown {
  const text = readPrivateFile(path, { mode: MODE, bytesMax: BYTES_MAX });
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    // Only this user can have written it, and did not write this.
    return undefined;
  }
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).every((text) => typeof text === "string");
}

export function handOver(runtimeDir: string, environment: Environment): void {
  rmSync(join(runtimeDir, REFUSED), { force: true });
  writePrivateFile(join(runtimeDir, GIVEN), JSON.stringify(settingsIn(environment)), MODE);
}

/** Why the node refused what was handed over, none if it took it; undefined before it has answered. */
export function answerOf(runtimeDir: string): readonly string[] | undefined {
  if (existsSync(join(runtimeDir, GIVEN))) return undefined;
  const problems = read(join(runtimeDir, REFUSED));
  return isTexts(problems) ? Object.values(problems) : [];
}

/** Nobody waits for an answer any more, or nobody is to believe what is left of an earlier handover. */
export function clearHandover(runtimeDir: string): void {
  for (const name of [GIVEN, REFUSED]) rmSync(join(runtimeDir, name), { force: true });
}

/** `environment` with the settings that were handed over in place of its own; unchanged when none were. */
export function withHandedOver(runtimeDir: string, environment: Environment): Environment {
  const value = read(join(runtimeDir, GIVEN));
  if (!isTexts(value) || Array.isArray(value)) return environment;
  const others = Object.entries(environment).filter(([name]) => !ENVIRONMENT_NAMES.has(name));
  return { ...Object.fromEntries(others), ...settingsIn(value) };
}

/** The node's answer to a handover, if there is one. */
export function answerHandover(runtimeDir: string, problems: readonly string[]): void {
  const path = join(runtimeDir, GIVEN);
  if (!existsSync(path)) return;
  if (problems.length > 0) {
    writePrivateFile(join(runtimeDir, REFUSED), JSON.stringify(problems), MODE);
  }
  rmSync(path, { force: true });
}
