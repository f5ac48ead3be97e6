// Numbers, sizes and times for people. Pure: "now" is always given.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function formatCount(value: number): string {
  return whole.format(value);
}

/** Three significant digits at most. */
function short(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${short(value)} ${units[unit] ?? ""}`;
}

/** For an axis or a rate: 1.2k, 35M. */
export function formatShort(value: number): string {
  if (value >= 1e9) return `${short(value / 1e9)}G`;
  if (value >= 1e6) return `${short(value / 1e6)}M`;
  if (value >= 1e4) return `${short(value / 1e3)}k`;
  return short(value);
}

export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return "–";
  if (ms < 1) return "<1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  return formatSpan(ms);
}

const SPANS = [
  { ms: DAY, unit: "d" },
  { ms: HOUR, unit: "h" },
  { ms: MINUTE, unit: "min" },
  { ms: SECOND, unit: "s" },
] as const;

/** The two largest units that matter, or one. */
export function formatSpan(ms: number): string {
  const first = SPANS.findIndex((span) => ms >= span.ms);
  if (first === -1) return "0 s";
  const shown = SPANS.slice(first, first + 2).map((span, index) => {
    const rest = index === 0 ? ms : ms % (SPANS[first]?.ms ?? 1);
    return { count: Math.floor(rest / span.ms), unit: span.unit };
  });
  const told = shown.filter(({ count }) => count > 0);
  return told.map(({ count, unit }) => `${count} ${unit}`).join(" ");
}

/** Coarser than formatSpan: what stands in a narrow column. */
export function formatAgo(atMs: number | undefined, nowMs: number): string {
  if (atMs === undefined) return "never";
  const ms = nowMs - atMs;
  // A clock that is a moment ahead is no news.
  if (ms < 2 * SECOND) return "now";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} d ago`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** Of this browser's time zone: 14:03:09. */
export function formatClock(atMs: number): string {
  const at = new Date(atMs);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Of this browser's time zone: 2026-11-21 14:03:09. */
export function formatTime(atMs: number): string {
  const at = new Date(atMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${formatClock(atMs)}`;
}

// What a peer chose may turn the text around it or hide in it: shown as what it is.
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** A name from outside on one line: of bounded length, with nothing invisible in it. */
export function showName(name: string, charsMax = 160): string {
  const clipped = name.length > charsMax ? `${name.slice(0, charsMax)}…` : name;
  return clipped
    .toWellFormed()
    .replace(INVISIBLE, (char) => `␣${char.charCodeAt(0).toString(16).padStart(4, "0")}␣`);
}
