// What tests of a node that was installed from a package share: where it can be, and how it is asked.
import { type DebianRoot, findDebianRoot } from "../../scripts/support/debian-roots.ts";
import { nfpm as nfpmProgram } from "../../scripts/support/go-program.ts";
import { machinesMissing } from "./machine.ts";

export const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
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
