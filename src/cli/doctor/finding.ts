// Findings of `doctor`: what was looked at, how it is, and what to do.
import type { Finding, Severity } from "../../broker/diagnostics.ts";

/** What a check says; it belongs to the group of its caller. */
export type Found = Omit<Finding, "group">;

export function good(code: string, message: string): Found {
  return { severity: "ok", code, message, remedy: null };
}

export function doubt(code: string, message: string, remedy: string): Found {
  return { severity: "warning", code, message, remedy };
}

export function fault(code: string, message: string, remedy: string): Found {
  return { severity: "problem", code, message, remedy };
}

export function inGroup(group: string, found: readonly Found[]): Finding[] {
  return found.map((one) => ({ ...one, group }));
}

/** In the order in which groups are shown; others come last. */
export const GROUPS = [
  "node",
  "peers",
  "documents",
  "settings",
  "files",
  "storage",
  "machine",
  "network",
] as const;

export const SEVERITIES: readonly Severity[] = ["problem", "warning", "ok"];
