// Quantities as people read them: bytes, durations, how long ago, counts.

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** 0 B, 1.4 KiB, 12 MiB: two digits at least, by powers of 1024. */
export function printBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What would be rounded up to 1024 is one of the next unit.
  while (value >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 3 ms, 1.2 s, 4 min, 5 h, 2 d: the greatest unit that fits. */
export function printDuration(ms: number): string {
  if (ms < 0) return `-${printDuration(-ms)}`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < 90 * SECOND) return `${Math.round(ms / SECOND)} s`;
  if (ms < 90 * MINUTE) return `${Math.round(ms / MINUTE)} min`;
  return ms < 36 * HOUR ? `${Math.round(ms / HOUR)} h` : `${Math.round(ms / DAY)} d`;
}

/** `now` for the last second, then `3 min ago`; `in 3 min` where the other clock is ahead. */
export function printAge(atMs: number, nowMs: number): string {
  const agoMs = nowMs - atMs;
  if (Math.abs(agoMs) < SECOND) return "now";
  return agoMs < 0 ? `in ${printDuration(-agoMs)}` : `${printDuration(agoMs)} ago`;
}

/** `1 document`, `2 documents`. */
export function printCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
