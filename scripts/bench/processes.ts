// What Linux says of a process and of the machine: memory, CPU time, load.
import { readFileSync } from "node:fs";

/** Clock ticks per second in /proc; 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;

/** Resident memory of a process in MB (10^6 bytes). */
export function residentMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return (Number(kib) * 1024) / 1e6;
}

/** CPU seconds, user and system, that a process has used so far; its threads included. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the name in parentheses, which may hold blanks; the rest begins with field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The 1, 5 and 15 minute load averages, as Linux prints them. */
export function loadAverage(): string {
  return readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" ");
}

export function machine(): string {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const model = /^model name\s*:\s*(.*)$/m.exec(info)?.[1] ?? process.arch;
  return `${navigator.hardwareConcurrency} cores of ${model}, Bun ${Bun.version}`;
}
