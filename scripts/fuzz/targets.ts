// All targets, by name.
import { GUEST_TARGETS } from "./guest-targets.ts";
import { KUBERNETES_TARGETS } from "./kubernetes-targets.ts";
import { PATH_TARGETS } from "./path-targets.ts";
import { QUERY_TARGETS } from "./query-targets.ts";
import type { FuzzTarget } from "./target.ts";
import { TEXT_TARGETS } from "./text-targets.ts";
import { WIRE_TARGETS } from "./wire-targets.ts";

export const TARGETS: readonly FuzzTarget[] = [
  ...WIRE_TARGETS,
  ...GUEST_TARGETS,
  ...TEXT_TARGETS,
  ...KUBERNETES_TARGETS,
  ...PATH_TARGETS,
  ...QUERY_TARGETS,
];

export function findTarget(name: string): FuzzTarget {
  const found = TARGETS.find((target) => target.name === name);
  if (found === undefined) throw new Error(`there is no target ${name}`);
  return found;
}
