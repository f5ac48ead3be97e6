// `bundle`: one file with what somebody who helps would ask for, without secrets and contents of documents.
import {
  closeSync,
  fchmodSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { checkTarget } from "../backup/files.ts";
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import { API } from "../broker/api-path.ts";
import { type Loaded, pickSettings } from "../config/load.ts";
import { SETTING_NAMES, settingOf } from "../config/settings.ts";
import { textField } from "./answer.ts";
import type { OptionRow } from "./arguments.ts";
import { BROKER_SETTING_NAMES } from "./broker-client.ts";
import { gather } from "./bundle/contents.ts";
import { printReadme } from "./bundle/readme.ts";
import { Redaction, secretsOf } from "./bundle/redaction.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import { flagProblems } from "./doctor/all-findings.ts";
import { askJson } from "./node.ts";
import { NODE_OPTIONS, NodeClient, URL_OPTION } from "./node-call.ts";
import { printBytes } from "./quantities.ts";

const FORCE_OPTION: OptionRow = { name: "force", help: "Replace the file if there is one." };
const IDS_OPTION: OptionRow = {
  name: "with-ids",
  help: "Leave ids of documents as they are; by default they are replaced.",
};

const NOBODY: readonly string[] = ["not_ready", "wire_invalid"];

/** What a bundle of this moment is called, without what tells one node from another. */
function defaultName(madeAt: Date): string {
  return `peat-bundle-${madeAt.toISOString().replaceAll(/[-:]|\.\d+/g, "")}.tar.gz`;
}

/** What variables hold, right or wrong: a sentence about a wrong one may show it. */
function secretsInVariables({ context }: Call): Uint8Array[] {
  const secrets = SETTING_NAMES.map(settingOf).filter(({ kind }) => kind.isSecret);
  const texts = secrets.flatMap(({ env }) => env.map((name) => context.environment[name] ?? ""));
  return texts.map((text) => Buffer.from(text));
}

/** The token that the node made is in no setting. */
function secretsInRuntimeDir({ context }: Call, { values }: Loaded): Uint8Array[] {
  if (values.runtimeDir === undefined) return [];
  try {
    const token = context.host.readText(join(values.runtimeDir, "token")).trim();
    return token === "" ? [] : [Buffer.from(token), Buffer.from(token, "hex")];
  } catch {
    // None has been made, or this user may not read it: then it can't get into the bundle by this command.
    return [];
  }
}

/** For the owner only, whole or not at all. Faults: already_exists, storage_failed. */
function writeOnce(path: string, bytes: Uint8Array, isForced: boolean): void {
  // A device would be replaced by a file of its name.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    throw new Fault("invalid_argument", `${path} is no regular file; name another one`);
  }
  const target = isForced ? `${path}.${crypto.randomUUID()}` : path;
  let file: number;
  try {
    file = openSync(target, "wx", 0o600);
  } catch (error) {
    const isThere = systemCode(error) === "EEXIST";
    if (isThere) throw new Fault("already_exists", `${path} is there already; --force replaces it`);
    throw new Fault("storage_failed", `${path} can't be written: ${messageOf(error)}`, {}, error);
  }
  try {
    fchmodSync(file, 0o600);
    writeFileSync(file, bytes);
    if (isForced) renameSync(target, path);
  } catch (error) {
    rmSync(target, { force: true });
    throw new Fault("storage_failed", `${path} can't be written: ${messageOf(error)}`, {}, error);
  } finally {
    closeSync(file);
  }
}

async function openNode(call: Call, loaded: Loaded): Promise<NodeClient | undefined> {
  const picked = pickSettings(loaded, BROKER_SETTING_NAMES);
  if (!picked.ok) return undefined;
  const node = await NodeClient.open(call, picked.settings);
  try {
    const about = await askJson(node, { method: "GET", path: `${API}/node` });
    if (textField(about, "node_id") !== undefined) return node;
    throw new Fault("wire_invalid", "who answers is no node");
  } catch (error) {
    const isOurs = error instanceof Fault && !call.options.has(URL_OPTION.name);
    // What this user may not read is missing, and says so in its place.
    if (isOurs && !NOBODY.includes(error.code)) return node;
    node[Symbol.dispose]();
    // Without the node the rest of the bundle is worth having all the same; doctor says what is wrong with it.
    if (isOurs) return undefined;
    throw error;
  }
}

async function bundle(call: Call): Promise<number> {
  const { context, options, words } = call;
  const madeAt = new Date();
  const path = words[0] ?? defaultName(madeAt);
  const isForced = options.has(FORCE_OPTION.name);
  await checkTarget(path, { force: isForced });
  const keepsIds = options.has(IDS_OPTION.name);
  const loaded = call.settings();
  const problems = flagProblems(call, loaded);
  if (problems.length > 0) return refuse(context, { problems, warnings: [] });
  const secrets = [
    ...secretsOf(loaded),
    ...secretsInVariables(call),
    ...secretsInRuntimeDir(call, loaded),
  ];
  const redaction = new Redaction({ secrets, keepsIds });
  const node = await openNode(call, loaded);
  const parts = await gather({ call, node, redaction });
  node?.[Symbol.dispose]();
  const names = [...parts.keys()].sort(compareText);
  const readme = printReadme(names, { madeAt, keepsIds });
  const folder = path.replace(/^.*\//, "").replace(/\.t(?:ar\.)?gz$/, "") || "bundle";
  const files = Object.fromEntries(
    [["README.txt", readme] as const, ...parts].map(([name, text]) => [
      `${folder}/${name}`,
      redaction.apply(text),
    ]),
  );
  const bytes = await new Bun.Archive(files, { compress: "gzip" }).bytes();
  writeOnce(path, bytes, isForced);
  context.stdout.write(`${path}\n`);
  const without =
    node === undefined ? "; the node did not answer, so it is without what only it knows" : "";
  context.stderr.write(
    `${context.program}: ${names.length + 1} files, ${printBytes(bytes.length)}${without}\n`,
  );
  return EXIT.ok;
}

export const bundleCommand: Command = {
  name: "bundle",
  sentence: "Put what somebody who helps would ask for into one file, without secrets.",
  usage: "[FILE.tar.gz] [--force] [--with-ids] [--url URL] [settings…]",
  wordsMin: 0,
  wordsMax: 1,
  options: [FORCE_OPTION, IDS_OPTION, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["bundle", "bundle /tmp/node.tar.gz --force", "bundle --with-ids"],
  run: bundle,
};
