// What tests of a node that was installed from a package share: where it can be, and how it is asked.
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type DebianRoot, findDebianRoot } from "../../scripts/support/debian-roots.ts";
import { nfpm as nfpmProgram } from "../../scripts/support/go-program.ts";
import { Machine, type MachineOptions, machinesMissing } from "./machine.ts";

const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
export const UNIT = "peat-sidecar.service";

/** The folder of a root, or why nothing can be installed in it here. */
export async function rootOrReason(
  name: DebianRoot,
): Promise<{ base: string; missing: string | undefined }> {
  const [root, nfpm] = [await findDebianRoot(name), await nfpmProgram.find()];
  const missing =
    machinesMissing() ??
    ("missing" in root ? root.missing : undefined) ??
    ("missing" in nfpm ? nfpm.missing : undefined);
  return { base: "path" in root ? root.path : "", missing };
}

/** Puts a package on the disk of a machine; the path there. */
export function bring(machine: { readonly root: string }, path: string): string {
  const there = join("/var/cache", basename(path));
  copyFileSync(path, join(machine.root, there));
  return there;
}

/** The command that installs debs on a machine, in one transaction, after they were put on its disk. */
export function installation(
  machine: { readonly root: string },
  ...debs: readonly string[]
): string {
  const paths = debs.map((path) => bring(machine, path)).join(" ");
  return `apt-get install -y -q --no-install-recommends --allow-downgrades ${paths}`;
}

/** A machine that has a deb and a secret, and whose service is ready. */
export async function bootWithDeb(
  base: string,
  deb: string,
  options: MachineOptions,
): Promise<Machine> {
  const machine = await Machine.boot(base, options);
  try {
    machine.read(installation(machine, deb));
    const { code, text } = machine.run("peat-sidecar setup --secret-file -", `${SECRET}\n`);
    if (code !== 0 || !text.includes(`${UNIT} runs.`)) throw new Error(`setup (${code}): ${text}`);
    return machine;
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
}

/** Shell commands that write and read a document of the collection `notes` over the broker. */
export const put = (id: string, json: string) =>
  `curl -sf -X PUT -H "authorization: Bearer $(cat /run/peat-sidecar/token)" -H 'content-type: application/json' -d '${json}' http://127.0.0.1:8081/api/v1/documents/notes/${id}`;
export const get = (id: string) => `curl -sf http://127.0.0.1:8081/api/v1/documents/notes/${id}`;

/** A shell command that calls a method over Connect; `how` is curl's way to the listener, ending in its base URL. */
export const byRpc = (how: string, method: string, body: string) =>
  `curl -sf ${how}/peat.sidecar.v1.PeatSidecar/${method} -H 'content-type: application/json' -d '${body}'`;

/** curl's way to the documented path of the socket. */
export const BY_SOCKET = "--unix-socket /run/peat-sidecar.sock http://localhost";

export const RPC_DOCUMENT = JSON.stringify({ collection: "notes", docId: "r1" });
export const RPC_WRITE = JSON.stringify({
  collection: "notes",
  docId: "r1",
  jsonData: '{"by":"rpc"}',
});

/** The same command as a user with its own groups. */
export const asUser = (user: string, command: string) =>
  `setpriv --reuid=${user} --regid=${user} --init-groups ${command}`;
