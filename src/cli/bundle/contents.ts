// What a support bundle is made of: each part by itself, so that one that can't be had costs only itself.
import { readFileSync } from "node:fs";
import { arch, cpus, freemem, release, totalmem, uptime } from "node:os";
import { messageOf } from "../../base/faults.ts";
import { API } from "../../broker/api-path.ts";
import { buildInfo } from "../../build-info.ts";
import { configOf } from "../../config/load.ts";
import { SETTING_NAMES } from "../../config/settings.ts";
import { bodyField, field, listIn } from "../answer.ts";
import type { Call } from "../command.ts";
import { allFindings } from "../doctor/all-findings.ts";
import { printFindings } from "../doctor.ts";
import { askGood, askJson } from "../node.ts";
import { type NodeClient, URL_OPTION } from "../node-call.ts";
import { viewSetting } from "../running-settings.ts";
import type { Redaction } from "./redaction.ts";

/** Names of files with their texts. */
export type Parts = Map<string, string>;

const LOG_LINES = 1_000;
const COMMAND_MS = 5_000;
const UNITS = ["peat-sidecar.service", "peat-mesh-node.service"];
const ID_FIELDS = ["doc_key", "doc_id", "key"];

/** What the node answers, by the file that it becomes. */
const ANSWERS = {
  "status.json": "status",
  "ready.json": "ready",
  "peers.json": "peers",
  "topology.json": "topology",
  "config.json": "config",
  "collections.json": "collections",
  "summary.json": "summary",
  "sync.json": "sync",
} as const;

export interface Gathering {
  readonly call: Call;
  /** Undefined where none can be asked. */
  readonly node: NodeClient | undefined;
  readonly redaction: Redaction;
}

/** Undefined for a part that there is none of; a failure stands in the part's place. */
type Gather = () => Promise<string | undefined> | string | undefined;

/** All parts, as they are: to be redacted after the last one, when every id is known. */
export async function gather(gathering: Gathering): Promise<Parts> {
  const { call, node, redaction } = gathering;
  const parts: Parts = new Map();
  const add = async (name: string, make: Gather) => {
    try {
      const text = await make();
      if (text !== undefined) parts.set(name, text.endsWith("\n") ? text : `${text}\n`);
    } catch (error) {
      // Anything may be broken on a machine that somebody asks for help with.
      parts.set(`${name}.failed.txt`, `${messageOf(error)}\n`);
    }
  };
  await add("version.json", () => json({ ...buildInfo, program: call.context.program }));
  // Of a node that --url names nothing is on this machine.
  if (!call.options.has(URL_OPTION.name)) {
    await add("machine.json", () => json(machine()));
    await add("settings.json", () => json(settingsAsRead(call)));
    await add("unit.txt", unitState);
  }
  await add("doctor.txt", async () => {
    const findings = await allFindings(call);
    for (const { code, message } of findings) if (code === "stuck") learnFrom(redaction, message);
    await add("doctor.json", () => json(findings));
    return printFindings(findings, { paint: (text) => text });
  });
  for (const [name, path] of Object.entries(ANSWERS)) {
    await add(name, () => node && answerOf(node, `${API}/${path}`));
  }
  await add("metrics.txt", () => node && answerOf(node, "/metrics"));
  await add("logs.ndjson", async () => node && (await logLines(node, redaction)));
  learnChecks(parts.get("ready.json"), redaction);
  return parts;
}

function json(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}

async function answerOf(node: NodeClient, path: string): Promise<string> {
  return (await askGood(node, { method: "GET", path })).body;
}

/** The newest lines that the node remembers, one JSON value each. */
async function logLines(node: NodeClient, redaction: Redaction): Promise<string> {
  const answer = await askJson(node, { method: "GET", path: `${API}/logs?limit=${LOG_LINES}` });
  const lines = listIn(answer, "lines", "log lines");
  for (const line of lines) {
    for (const name of ID_FIELDS) {
      const value = field(field(line, "fields"), name);
      if (typeof value === "string") redaction.learn(value);
    }
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** `collection/id can't be made …`, `collection:id is not the same …`: the id may hold blanks. */
function learnFrom(redaction: Redaction, sentence: string): void {
  const name = /^(?<name>.+?) (?:can't be made|is not the same)/su.exec(sentence)?.groups?.["name"];
  if (name !== undefined) redaction.learn(name);
}

function learnChecks(text: string | undefined, redaction: Redaction): void {
  if (text === undefined) return;
  const checks = bodyField(text, "checks");
  if (!Array.isArray(checks)) return;
  for (const check of checks) {
    const message: unknown = field(check, "message");
    if (typeof message === "string") learnFrom(redaction, message);
  }
}

function machine() {
  return {
    system: readText("/etc/os-release"),
    kernel: release(),
    arch: arch(),
    processors: cpus().length,
    memory_bytes: totalmem(),
    free_memory_bytes: freemem(),
    up_secs: Math.round(uptime()),
    cgroup_memory_max: readText("/sys/fs/cgroup/memory.max"),
    now_ms: Date.now(),
  };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    // Not every machine has it.
    return null;
  }
}

/** As this command reads them, which need not be what the node goes by. */
function settingsAsRead(call: Call) {
  const loaded = call.settings();
  const read = configOf(loaded);
  const remarks = {
    problems: loaded.problems.map(({ text }) => text),
    warnings: loaded.warnings.map(({ text }) => text),
  };
  if (!read.ok) return { ...remarks, settings: null };
  const config = read.settings;
  return {
    ...remarks,
    settings: SETTING_NAMES.map((name) => viewSetting(name, { loaded, config })),
  };
}

/** Undefined without systemd. Properties by name: what a drop-in sets may hold secrets. */
function unitState(): string | undefined {
  if (Bun.which("systemctl") === null) return undefined;
  const properties =
    "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,MemoryCurrent,ActiveEnterTimestamp,FragmentPath,DropInPaths";
  const texts = UNITS.map((unit) => {
    const command = ["systemctl", "show", unit, `--property=${properties}`];
    const { stdout } = Bun.spawnSync(command, { stderr: "ignore", timeout: COMMAND_MS });
    return stdout.toString();
  });
  const told = texts.filter((text) => text.includes("LoadState=loaded")).join("\n");
  return told === "" ? undefined : told;
}
