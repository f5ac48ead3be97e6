// What the running node says for `doctor`: its own findings, its settings, its peers and its process. Nothing of it
// is believed unchecked.
import { Fault } from "../../base/faults.ts";
import { API } from "../../broker/api-path.ts";
import type { Finding, Severity } from "../../broker/diagnostics.ts";
import { type HostPort, parseHostPort } from "../../identity/peer.ts";
import { field, listField, listIn, numberField, textField } from "../answer.ts";
import type { BrokerSettings } from "../broker-client.ts";
import type { Call } from "../command.ts";
import { askJson } from "../node.ts";
import { NodeClient, URL_OPTION } from "../node-call.ts";
import { doubt, inGroup } from "./finding.ts";

export interface RunningNode {
  /** False: nobody answered. */
  readonly isRunning: boolean;
  readonly findings: readonly Finding[];
  /** Settings in force by their variables, without secrets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly connected: ReadonlySet<string>;
  /** Peers that it looks for and does not reach, by their names, with the address that it tried. */
  readonly away: ReadonlyMap<string, HostPort>;
  readonly pid: number | undefined;
}

const NOBODY = {
  environment: {},
  connected: new Set<string>(),
  away: new Map(),
  pid: undefined,
} as const;
const ENTRIES_MAX = 10_000;
/** Peers that are asked for a sign: each that is silent takes seconds. */
const AWAY_MAX = 64;

/** Faults only of a node that --url names: else what it is that nobody answers is a finding. */
export async function askRunningNode(
  call: Call,
  settings: BrokerSettings | undefined,
): Promise<RunningNode> {
  if (settings === undefined) return { ...NOBODY, isRunning: false, findings: [] };
  using node = await NodeClient.open(call, settings);
  const ask = (path: string) => askJson(node, { method: "GET", path: `${API}/${path}` });
  try {
    const findings = readFindings(await ask("doctor"));
    const [peers, status, config] = [await ask("peers"), await ask("status"), await ask("config")];
    return {
      isRunning: true,
      findings,
      environment: readEnvironment(config),
      connected: readConnected(peers),
      away: readAway(peers),
      pid: numberField(status, "pid"),
    };
  } catch (error) {
    // A node that is named is all that is looked at.
    if (!(error instanceof Fault) || call.options.has(URL_OPTION.name)) throw error;
    const isSilent = error.code === "not_ready" || error.code === "wire_invalid";
    const remedy = isSilent
      ? "start it (systemctl start peat-sidecar), and see its log if it does not run"
      : "run this command as root or in the group of the node, or give --token-file";
    const code = isSilent ? "not_running" : "not_asked";
    const message = `the node could not be asked: ${error.message}`;
    const findings = inGroup("node", [doubt(code, message, remedy)]);
    return { ...NOBODY, isRunning: !isSilent, findings };
  }
}

function entriesOf(value: unknown, name: string): readonly unknown[] {
  return listField(value, name).slice(0, ENTRIES_MAX);
}

function readSeverity(value: unknown): Severity {
  const severity = textField(value, "severity");
  return severity === "ok" || severity === "problem" ? severity : "warning";
}

/** Fault `wire_invalid` for an answer that is none of a node's. */
function readFindings(answer: unknown): Finding[] {
  const findings = listIn(answer, "findings").slice(0, ENTRIES_MAX);
  return findings.map((one) => ({
    severity: readSeverity(one),
    code: textField(one, "code") ?? "unknown",
    group: textField(one, "group") ?? "node",
    message: textField(one, "message") ?? "",
    remedy: textField(one, "remedy") ?? null,
  }));
}

/** As if the settings in force had been set by variables. */
function readEnvironment(answer: unknown): Record<string, string> {
  const entries = entriesOf(answer, "settings").flatMap((setting) => {
    const [variable, value] = [textField(setting, "variable"), textField(setting, "value")];
    return variable === undefined || value === undefined ? [] : [[variable, value] as const];
  });
  return Object.fromEntries(entries);
}

function readPlace(address: string): HostPort | undefined {
  try {
    return parseHostPort(address);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function readAway(answer: unknown): Map<string, HostPort> {
  const away = new Map<string, HostPort>();
  for (const peer of entriesOf(answer, "peers")) {
    if (away.size >= AWAY_MAX) break;
    const [name, address] = [textField(peer, "id"), textField(peer, "address")];
    if (field(peer, "connected") === true || name === undefined || address === undefined) continue;
    const place = readPlace(address);
    if (place !== undefined) away.set(name, place);
  }
  return away;
}

function readConnected(answer: unknown): Set<string> {
  const peers = entriesOf(answer, "peers").filter((peer) => field(peer, "connected") === true);
  return new Set(
    peers.flatMap((peer) => [textField(peer, "id") ?? "", textField(peer, "endpoint_id") ?? ""]),
  );
}
