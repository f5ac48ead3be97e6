// What the machine gives the node: room on the disk, an addon that loads, file descriptors, buffers, a right clock.
import { readFileSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf } from "../../base/faults.ts";
import { fileBytes } from "../../base/file-bytes.ts";
import type { Config } from "../../config/settings.ts";
import { loadIroh } from "../../net/load-iroh.ts";
import { printBytes } from "../quantities.ts";
import { doubt, type Found, fault, good } from "./finding.ts";

const MIB = 1024 ** 2;
/** Below it a group of writes may not fit; below the other it is time to look. */
const FREE_BYTES_MIN = 16 * MIB;
const FREE_BYTES_LOW = 256 * MIB;
const FREE_INODES_LOW = 1_000;
const WAL_BYTES_MANY = 256 * MIB;
const OPEN_FILES_MIN = 1_024;
/** What Linux gives by itself; less makes QUIC lose packets in bursts. */
const UDP_BYTES_MIN = 212_992;
const COMMAND_MS = 3_000;
/** Nothing of this program is older. */
const CLOCK_MS_MIN = Date.UTC(2026, 0, 1);

export function examineStorage({ dataDir }: Partial<Config>): Found[] {
  if (dataDir === undefined) return [];
  const found = [...examineRoom(dataDir)];
  const wal = join(dataDir, "automerge", "peat.db-wal");
  const bytes = fileBytes(wal);
  if (bytes > WAL_BYTES_MANY) {
    const remedy = "restart the node; a long reader may keep the log from being folded in";
    found.push(doubt("wal", `the write-ahead log has ${printBytes(bytes)}`, remedy));
  }
  return found;
}

function examineRoom(dataDir: string): Found[] {
  const place = nearest(dataDir);
  if (place === undefined) return [];
  const { bavail, bsize, files, ffree } = statfsSync(place);
  const free = bavail * bsize;
  const message = `${printBytes(free)} are free on the disk of ${dataDir}`;
  const remedy =
    "free some space there, or move PEAT_DATA_DIR; a node whose disk was full goes on by itself";
  const found: Found[] = [];
  if (free < FREE_BYTES_MIN) found.push(fault("disk_full", message, remedy));
  else if (free < FREE_BYTES_LOW) found.push(doubt("disk_low", message, remedy));
  else found.push(good("disk", message));
  if (files > 0 && ffree < FREE_INODES_LOW) {
    found.push(
      doubt("inodes_low", `only ${ffree} more files fit on the disk of ${dataDir}`, remedy),
    );
  }
  return found;
}

/** The directory, or the first above it that is there. */
function nearest(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    if (statSync(at, { throwIfNoEntry: false }) !== undefined) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** `pid`: of the running node, if there is one. */
export async function examineMachine(pid: number | undefined): Promise<Found[]> {
  return [await examineAddon(), ...examineBuffers(), ...examineOpenFiles(pid), examineClock()];
}

async function examineAddon(): Promise<Found> {
  try {
    await loadIroh();
    return good("addon", `the QUIC addon loads (${libraryName()})`);
  } catch (error) {
    return fault("addon", messageOf(error), "see docs/install.md; it needs glibc 2.34 or later");
  }
}

function libraryName(): string {
  const report: unknown = process.report.getReport();
  const text = JSON.stringify(report);
  const version = /"glibcVersionRuntime":"([^"]+)"/.exec(text)?.[1];
  return version === undefined ? "not glibc" : `glibc ${version}`;
}

function readNumber(path: string): number | undefined {
  try {
    const value = Number(readFileSync(path, "utf8").trim());
    return Number.isFinite(value) ? value : undefined;
  } catch {
    // Not in every container.
    return undefined;
  }
}

function examineBuffers(): Found[] {
  const sizes = ["rmem_max", "wmem_max"].flatMap((name) => {
    const bytes = readNumber(`/proc/sys/net/core/${name}`);
    return bytes === undefined ? [] : [{ name, bytes }];
  });
  const small = sizes.filter(({ bytes }) => bytes < UDP_BYTES_MIN);
  const told = sizes.map(({ name, bytes }) => `${name} ${printBytes(bytes)}`).join(", ");
  if (small.length > 0) {
    const remedy = small.map(({ name }) => `sysctl -w net.core.${name}=2500000`).join("; ");
    return [doubt("udp_buffers", `UDP buffers are small: ${told}`, remedy)];
  }
  return sizes.length === 0 ? [] : [good("udp_buffers", `UDP buffers: ${told}`)];
}

function examineOpenFiles(pid: number | undefined): Found[] {
  if (pid === undefined) return [];
  let limits: string;
  try {
    limits = readFileSync(`/proc/${pid}/limits`, "utf8");
  } catch {
    // Another user's process; root can look.
    return [];
  }
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (soft === undefined) return [];
  const message = `the node may open ${soft} files`;
  if (Number(soft) >= OPEN_FILES_MIN) return [good("open_files", message)];
  return [doubt("open_files", message, "raise it: LimitNOFILE= of the unit, or ulimit -n")];
}

function examineClock(): Found {
  const now = Date.now();
  const remedy = "set the clock, and keep it by NTP: whose clock is ahead wins over later writes";
  if (now < CLOCK_MS_MIN) {
    return fault("clock", `the clock says ${new Date(now).toISOString()}`, remedy);
  }
  const isKept = isClockKept();
  if (isKept === undefined)
    return good("clock", "nobody here knows whether the clock is kept by NTP");
  if (isKept) return good("clock", "the clock is kept by NTP");
  return doubt("clock", "the clock is not kept by NTP", remedy);
}

/** Undefined where systemd can't say. */
function isClockKept(): boolean | undefined {
  if (Bun.which("timedatectl") === null) return undefined;
  const command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"];
  const { exitCode, stdout } = Bun.spawnSync(command, { stderr: "ignore", timeout: COMMAND_MS });
  if (exitCode !== 0) return undefined;
  return stdout.toString().trim() === "yes";
}
