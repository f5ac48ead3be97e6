// How small devices on the Peat-Lite radio protocol number a node (peat-mesh 0.6.0 wire, §9.4).
import { toUtf8 } from "../base/bytes.ts";
import type { NodeName } from "./peer.ts";

/** The node's number, 32 bits: h = 31 h + byte over its name. */
export function liteId(name: NodeName): number {
  return toUtf8(name).reduce((hash, byte) => (Math.imul(hash, 31) + byte) >>> 0, 0);
}

/** A number as the name that peers of that protocol go by: `lite-` and eight upper-case digits. */
export function printLiteId(id: number): string {
  return `lite-${id.toString(16).toUpperCase().padStart(8, "0")}`;
}
