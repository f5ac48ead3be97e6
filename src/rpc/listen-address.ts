// Where a listener is bound, and how that is told.
import { printHostPort } from "../identity/peer.ts";

export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** As PEAT_LISTEN has it. */
export function printListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  return `tcp://${printHostPort(address)}`;
}
