// Rules between settings: what no row can tell alone.
import { equalBytes } from "../base/bytes.ts";
import { isLoopback } from "./addresses.ts";
import { fileProblem } from "./host.ts";
import type { Remark } from "./remark.ts";
import type { Host } from "./setting.ts";
import { type Config, type SettingName, settingOf } from "./settings.ts";

interface Remarks {
  readonly problems: Remark[];
  readonly warnings: Remark[];
}

const TLS_FILES = ["tlsCert", "tlsKey", "agentTlsCert", "agentTlsKey", "agentTlsCa"] as const;

function checkTlsPair(values: Partial<Config>, host: Host, remarks: Remarks): void {
  const pairs = [
    ["tlsCert", "tlsKey"],
    ["agentTlsCert", "agentTlsKey"],
  ] as const;
  for (const [cert, key] of pairs) {
    if (values[cert] !== undefined && values[key] === undefined) needs(cert, key, remarks);
    if (values[key] !== undefined && values[cert] === undefined) needs(key, cert, remarks);
  }
  for (const setting of TLS_FILES) {
    const path = values[setting];
    if (path === undefined) continue;
    try {
      host.readText(path);
    } catch (error) {
      const text = `${settingOf(setting).env[0]}: ${fileProblem(path, error)}`;
      remarks.problems.push({ setting, text });
    }
  }
}

/** Files that nobody will read were meant for something. */
function checkAgent(values: Partial<Config>, { warnings }: Remarks): void {
  if (values.agentAddr?.kind === "https") return;
  for (const setting of ["agentTlsCert", "agentTlsCa"] as const) {
    if (values[setting] === undefined) continue;
    const text = `${settingOf(setting).env[0]} has no effect unless PEAT_AGENT_ADDR begins with https://`;
    warnings.push({ setting, text });
  }
}

/** A key that was lost on its way here must not lay open what another one has encrypted. */
function checkEncryption(values: Partial<Config>, { problems }: Remarks): void {
  const { encryptionKey, encryptionKeysPrevious = [] } = values;
  if (encryptionKey !== undefined || encryptionKeysPrevious.length === 0) return;
  problems.push({
    setting: "encryptionKeysPrevious",
    text: "PEAT_ENCRYPTION_KEY_PREVIOUS is set and PEAT_ENCRYPTION_KEY is not; set that to the present key, or to off if documents are to lie in the clear from now on",
  });
}

/** A watch over nothing was meant for something. */
function checkAttachments(values: Partial<Config>, { warnings }: Remarks): void {
  const { attachmentOutboxWatch, attachmentRoots = [] } = values;
  if (attachmentOutboxWatch !== true || attachmentRoots.length > 0) return;
  const text = "PEAT_ATTACHMENT_OUTBOX_WATCH has no effect unless PEAT_ATTACHMENT_ROOT is set";
  warnings.push({ setting: "attachmentOutboxWatch", text });
}

function needs(setting: SettingName, missing: SettingName, remarks: Remarks): void {
  const text = `${settingOf(setting).env[0]} is of no use without ${settingOf(missing).env[0]}; set both`;
  remarks.problems.push({ setting, text });
}

function checkReach(values: Partial<Config>, { problems, warnings }: Remarks): void {
  if (values.apiToken !== undefined) return;
  const { brokerAddr, listen = [] } = values;
  if (brokerAddr !== undefined && !isLoopback(brokerAddr)) {
    warnings.push({
      setting: "brokerAddr",
      text: `the broker on ${brokerAddr} can be reached from elsewhere and PEAT_API_TOKEN is not set: until it is, writes from there are answered with 401`,
    });
  }
  const exposed = listen.find((address) => address.kind === "tcp" && !isLoopback(address.host));
  if (exposed !== undefined) {
    problems.push({
      setting: "listen",
      text: "PEAT_LISTEN: a TCP listener beyond loopback needs PEAT_API_TOKEN; set it, or listen on loopback or a unix socket",
    });
  }
}

function checkSecrets(values: Partial<Config>, { warnings }: Remarks): void {
  const { formationSecret, formationSecretsAlso = [] } = values;
  if (formationSecret === undefined) return;
  const own = formationSecret.expose();
  if (!formationSecretsAlso.some((also) => equalBytes(also.expose(), own))) return;
  warnings.push({
    setting: "formationSecretsAlso",
    text: "PEAT_FORMATION_SECRET_ALSO repeats PEAT_FORMATION_SECRET, which changes nothing",
  });
}

function checkPeers(values: Partial<Config>, { warnings }: Remarks): void {
  const { discovery, staticPeers } = values;
  if (!discovery?.includes("static") || staticPeers === undefined || staticPeers.length > 0) return;
  warnings.push({
    setting: "discovery",
    text: "PEAT_DISCOVERY names static but PEAT_STATIC_PEERS is empty; nobody is dialled by it",
  });
}

function checkTimeouts(values: Partial<Config>, { problems }: Remarks): void {
  const { rpcDefaultTimeoutSecs, rpcMaxTimeoutSecs } = values;
  if (rpcDefaultTimeoutSecs === undefined || rpcMaxTimeoutSecs === undefined) return;
  if (rpcDefaultTimeoutSecs <= rpcMaxTimeoutSecs) return;
  problems.push({
    setting: "rpcDefaultTimeoutSecs",
    text: `PEAT_RPC_DEFAULT_TIMEOUT_SECS (${rpcDefaultTimeoutSecs}) is greater than PEAT_RPC_MAX_TIMEOUT_SECS (${rpcMaxTimeoutSecs})`,
  });
}

function checkCertificates(values: Partial<Config>, { problems }: Remarks): void {
  if (values.requireCertificates !== true) return;
  problems.push({
    setting: "requireCertificates",
    text: "PEAT_REQUIRE_CERTIFICATES: no certificate is checked in this version, so none can be required; remove it to let the formation secret alone admit peers",
  });
}

/** Problems and doubts that arise only from settings together; settings that could not be read are skipped. */
export function checkTogether(values: Partial<Config>, host: Host): Remarks {
  const remarks: Remarks = { problems: [], warnings: [] };
  checkTlsPair(values, host, remarks);
  checkAgent(values, remarks);
  checkAttachments(values, remarks);
  checkEncryption(values, remarks);
  checkReach(values, remarks);
  checkSecrets(values, remarks);
  checkPeers(values, remarks);
  checkTimeouts(values, remarks);
  checkCertificates(values, remarks);
  return remarks;
}
