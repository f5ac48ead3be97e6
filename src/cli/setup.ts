// `setup`: gives a host its formation secret, where the packaged service finds it, and starts the service.
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Fault, messageOf } from "../base/faults.ts";
import {
  CREDENTIAL_STORE,
  credentialName,
  SECRET_FOLDERS,
  SETTINGS_FOLDER,
} from "../config/credentials.ts";
import { fileProblem } from "../config/host.ts";
import { settingOf } from "../config/settings.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";

const SERVICE = "peat-sidecar.service";
const GROUP = "peat-sidecar";
const SECRET_BYTES = 32;
const SECRET = settingOf("formationSecret");
const FILE_NAME = credentialName(SECRET.env[0]);
/** The first systemd on which a credential without a path was seen to be optional and taken from its store. */
const CREDENTIALS_SINCE = 252;

/** The machine that is set up. */
export interface Machine {
  /** Stands before every path: `/`, or a folder in tests. */
  readonly root: string;
  readonly isSuperuser: boolean;
  /** Runs a program of the machine; a program that is not there has failed. */
  run(command: readonly string[]): { readonly isGood: boolean; readonly text: string };
}

export interface SetupRequest {
  /** The secret as text, if one is given; else one is made, unless there is one. */
  readonly secret: string | undefined;
  readonly mayReplace: boolean;
  readonly mayStart: boolean;
}

/** Sets the machine up and returns what was done, a line each. Faults: invalid_argument, forbidden, conflict. */
export function setUp(machine: Machine, request: SetupRequest): readonly string[] {
  if (!machine.isSuperuser) throw new Fault("forbidden", "setup writes below /etc: run it as root");
  const { secret, mayReplace } = request;
  if (secret !== undefined) checkSecret(secret);
  const there = SECRET_FOLDERS.map((folder) => `${folder}/${FILE_NAME}`).find((path) =>
    existsSync(join(machine.root, path)),
  );
  const kept = there === undefined ? undefined : readFileSync(join(machine.root, there), "utf8");
  const isSame = kept !== undefined && (secret ?? kept).trim() === kept.trim();
  if (there !== undefined && isSame && !(mayReplace && secret === undefined)) {
    return [`${there} is kept as it is.`, ...start(machine, request, "start")];
  }
  if (there !== undefined && !mayReplace) {
    throw new Fault(
      "conflict",
      `${there} holds another secret; --replace makes this node one of another formation`,
    );
  }
  const path = write(machine, there, secret ?? newSecret());
  const told = secret === undefined ? `${path} holds a new secret.` : `${path} is written.`;
  const others =
    secret === undefined
      ? [
          "Nodes that are to share documents need the same one. On each, with this host's name for HOST:",
          `  ssh root@HOST cat ${path} | peat-sidecar setup --secret-file -`,
        ]
      : [];
  return [told, ...others, ...start(machine, request, "restart")];
}

function checkSecret(text: string): void {
  const read = SECRET.kind.parse(text.trim());
  if (!read.ok) throw new Fault("invalid_argument", `the secret ${read.problem}`);
}

function newSecret(): string {
  return crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toBase64();
}

/** Where the service of this machine finds it: in systemd's store, else in a file for the service's group. */
function write(machine: Machine, there: string | undefined, secret: string): string {
  const version = machine.run(["systemctl", "--version"]);
  const number = Number(/^systemd (\d+)/.exec(version.text)?.[1]);
  const folder = number >= CREDENTIALS_SINCE ? CREDENTIAL_STORE : SETTINGS_FOLDER;
  const path = there ?? `${folder}/${FILE_NAME}`;
  const isStore = path.startsWith(`${CREDENTIAL_STORE}/`);
  const gid = isStore ? undefined : groupId(machine.root);
  const real = join(machine.root, path);
  const parent = join(machine.root, isStore ? CREDENTIAL_STORE : SETTINGS_FOLDER);
  if (!existsSync(parent)) {
    mkdirSync(parent, { recursive: true });
    chmodSync(parent, isStore ? 0o700 : 0o755);
  }
  const fresh = `${real}.${crypto.randomUUID()}`;
  try {
    const file = openSync(fresh, "wx", 0o600);
    try {
      writeFileSync(file, `${secret.trim()}\n`);
      if (gid !== undefined) {
        chownSync(fresh, 0, gid);
        fchmodSync(file, 0o640);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, real);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new Fault("settings_invalid", `can't write ${path}: ${messageOf(error)}`, {}, error);
  }
  return path;
}

/** Undefined where the package has made no group: then the file is root's alone. */
function groupId(root: string): number | undefined {
  try {
    const line = readFileSync(join(root, "/etc/group"), "utf8").match(
      new RegExp(`^${GROUP}:[^:]*:(\\d+):`, "m"),
    );
    return line === null ? undefined : Number(line[1]);
  } catch {
    // A system without that file has no groups to give it to.
    return undefined;
  }
}

function start(machine: Machine, request: SetupRequest, verb: "start" | "restart"): string[] {
  if (!request.mayStart) return [];
  if (!existsSync(join(machine.root, "/run/systemd/system"))) {
    return ["There is no systemd here: start peat-sidecar by the init system of this machine."];
  }
  const { isGood, text } = machine.run(["systemctl", verb, SERVICE]);
  if (!isGood) {
    const [reason = ""] = text.trim().split("\n");
    throw new Fault("not_ready", `${SERVICE} did not start: ${reason}; see systemctl status`);
  }
  const isEnabled = machine.run(["systemctl", "is-enabled", SERVICE]).isGood;
  return [
    `${SERVICE} runs.`,
    ...(isEnabled
      ? []
      : [`It does not start at boot; to change that: systemctl enable ${SERVICE}`]),
  ];
}

async function secretGiven({ context, options }: Call): Promise<string | undefined> {
  const path = options.get("secret-file");
  if (path === undefined) return undefined;
  try {
    return path === "-" ? await Bun.stdin.text() : context.host.readText(path);
  } catch (error) {
    throw new Fault("invalid_argument", `--secret-file: ${fileProblem(path, error)}`);
  }
}

const thisMachine: Machine = {
  root: "/",
  isSuperuser: process.getuid?.() === 0,
  run(command) {
    try {
      const done = Bun.spawnSync([...command], { stdin: "ignore", stderr: "pipe" });
      return { isGood: done.success, text: `${done.stdout}${done.stderr}` };
    } catch (error) {
      return { isGood: false, text: messageOf(error) };
    }
  },
};

async function setup(call: Call): Promise<number> {
  const { context, options } = call;
  const lines = setUp(thisMachine, {
    secret: await secretGiven(call),
    mayReplace: options.has("replace"),
    mayStart: !options.has("no-start"),
  });
  for (const line of lines) context.stdout.write(`${line}\n`);
  return EXIT.ok;
}

export const setupCommand: Command = {
  name: "setup",
  sentence:
    "Give this host its formation secret, made or taken from a file, and start the service.",
  usage: "[--secret-file FILE] [--replace] [--no-start]",
  wordsMin: 0,
  wordsMax: 0,
  options: [
    {
      name: "secret-file",
      value: "FILE",
      help: "Take the secret from a file; - is standard input.",
    },
    { name: "replace", help: "Replace a secret that is there: the node gets another identity." },
    { name: "no-start", help: "Only write the secret." },
  ],
  takesSettings: false,
  examples: ["setup", "setup --secret-file - < secret", "setup --no-start"],
  run: setup,
};
