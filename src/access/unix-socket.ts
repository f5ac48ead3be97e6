// The path of a unix socket: taken only from a process that no longer lives, and given to owner and group alone.
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  type Stats,
  unlinkSync,
} from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { toUtf8 } from "../base/bytes.ts";
import { type Clock, within } from "../base/clock.ts";
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import type { Log } from "../base/log.ts";

/** sockaddr_un.sun_path of Linux, without its closing zero. */
const PATH_BYTES_MAX = 107;
const SOCKET_MODE = 0o660;
/** While the socket is made: nobody but owner and group, from its first moment. */
const SOCKET_UMASK = 0o117;
const FOLDER_MODE = 0o755;
/** A process that takes no connection for so long is alive all the same. */
const PROBE_MS = 1_000;

export interface SocketPlace {
  readonly path: string;
  /** The setting that named it. */
  readonly setting: string;
  readonly clock: Clock;
  readonly log: Log;
}

type Named = Pick<SocketPlace, "path" | "setting">;

function unavailable({ path, setting }: Named, sentence: string, cause?: unknown): Fault {
  return new Fault("address_unavailable", `${setting}: ${path} ${sentence}`, {}, cause);
}

/** A fault that says so has `taken` in its details: somebody else lives there. */
function taken({ path, setting }: Named, sentence: string): Fault {
  return new Fault("address_unavailable", `${setting}: ${path} ${sentence}`, { taken: true });
}

function statusOf(place: Named): Stats | undefined {
  try {
    return lstatSync(place.path, { throwIfNoEntry: false });
  } catch (error) {
    throw unavailable(place, `can't be looked at: ${messageOf(error)}`, error);
  }
}

/** Whether some process answers there: `refused` is what a socket says whose process is gone. */
export function probeSocket(path: string): Promise<"answered" | "refused" | "gone" | Error> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve("answered");
    });
    socket.once("error", (error) => {
      const code = systemCode(error);
      if (code === "ECONNREFUSED") resolve("refused");
      else resolve(code === "ENOENT" ? "gone" : error);
    });
  });
}

async function removeStale(place: SocketPlace, before: Stats): Promise<void> {
  const { path, clock, log } = place;
  const answer = await within(clock, PROBE_MS, probeSocket(path), "answered");
  if (answer === "gone") return;
  if (answer === "answered") {
    throw taken(place, "is in use by another process; stop it, or name another path");
  }
  if (answer !== "refused") {
    throw unavailable(place, `is there and can't be tried: ${messageOf(answer)}`, answer);
  }
  // Somebody else may have found it stale at the same time and be listening there by now.
  const now = statusOf(place);
  if (now?.ino !== before.ino || now.dev !== before.dev) {
    throw taken(place, "was taken by another process just now; name another path");
  }
  unlinkSync(path);
  log.info("Stale socket replaced", { path });
}

/**
 * Makes the path free for bind(2): what a process left behind is removed, and its folder is made if it is not
 * there. Fault `address_unavailable` for a socket that somebody listens on (`taken` in its details), a link, any
 * other file, and a path that is too long.
 */
export async function clearSocketPath(place: SocketPlace): Promise<void> {
  const { path } = place;
  const bytes = toUtf8(path).length;
  if (bytes > PATH_BYTES_MAX) {
    throw unavailable(place, `has ${bytes} bytes; a socket's path has at most ${PATH_BYTES_MAX}`);
  }
  const status = statusOf(place);
  if (status === undefined) {
    makeFolder(place);
    return;
  }
  if (status.isSymbolicLink()) {
    throw unavailable(place, "is a symbolic link; name the socket itself");
  }
  if (!status.isSocket()) throw unavailable(place, "is there already and no socket; move it away");
  await removeStale(place, status);
}

function makeFolder(place: Named): void {
  try {
    mkdirSync(dirname(place.path), { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    throw unavailable(place, `has no folder, and none can be made: ${messageOf(error)}`, error);
  }
}

/** Runs `bind`, which must make the socket before it returns, so that the socket never has other rights. */
export function withSocketRights(bind: () => void): void {
  const before = process.umask(SOCKET_UMASK);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}

/** Gives a bound socket to its group. Fault `settings_invalid` for a group that is not known or not ours to give. */
export function grantSocket(path: string, group: string | undefined): void {
  if (group === undefined) return;
  const gid = /^[0-9]+$/.test(group) ? Number(group) : findGroup(group);
  try {
    chownSync(path, -1 >>> 0, gid);
    // A change of the group may take rights away.
    chmodSync(path, SOCKET_MODE);
  } catch (error) {
    throw new Fault(
      "settings_invalid",
      `PEAT_LISTEN_GROUP: ${path} can't be given to the group ${group}: ${messageOf(error)}; the process's user must be a member of it`,
      {},
      error,
    );
  }
}

function findGroup(name: string): number {
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((text) => text.startsWith(`${name}:`));
  const gid = Number(line?.split(":")[2]);
  if (line !== undefined && Number.isInteger(gid)) return gid;
  throw new Fault(
    "settings_invalid",
    `PEAT_LISTEN_GROUP: there is no group ${name} in /etc/group; make it, or give its number`,
  );
}
