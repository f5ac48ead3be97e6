// What a long-running node may not take ever more of, asked of the system, not of the node.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { NodeProcess } from "../support/node-process.ts";
import type { Tolerance } from "./trend.ts";

const MB = 1e6;

interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly tolerance: Tolerance;
  measure(node: NodeProcess): number;
}

function fileMb(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) / MB;
}

const databaseOf = (node: NodeProcess): string => join(node.dataDir, "automerge", "peat.db");

export const MEASURES: readonly Measure[] = [
  {
    name: "RSS",
    unit: "MB",
    tolerance: { relative: 0.05, absolute: 5 },
    measure(node) {
      const status = readFileSync(`/proc/${node.pid}/status`, "utf8");
      return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / MB;
    },
  },
  {
    name: "database",
    unit: "MB",
    tolerance: { relative: 0.05, absolute: 0.3 },
    measure: (node) => fileMb(databaseOf(node)),
  },
  {
    name: "WAL",
    unit: "MB",
    tolerance: { relative: 0.05, absolute: 0.3 },
    measure: (node) => fileMb(`${databaseOf(node)}-wal`),
  },
  {
    name: "handles",
    unit: "",
    tolerance: { relative: 0, absolute: 2 },
    measure: (node) => readdirSync(`/proc/${node.pid}/fd`).length,
  },
  {
    name: "threads",
    unit: "",
    tolerance: { relative: 0, absolute: 2 },
    measure: (node) => readdirSync(`/proc/${node.pid}/task`).length,
  },
];
