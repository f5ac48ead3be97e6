// What the bench and the processes of the other system say to each other over Bun's IPC.
import type { Document } from "../../support/broker-api.ts";

export type Command =
  | { readonly kind: "create"; readonly documents: readonly Document[]; readonly lanes: number }
  | { readonly kind: "watch"; readonly url: string }
  | { readonly kind: "write"; readonly url: string; readonly nonce: string }
  | {
      readonly kind: "fetch";
      readonly urls: readonly string[];
      readonly lanes: number;
      readonly limitMs: number;
    };

export interface Request {
  readonly number: number;
  readonly command: Command;
}

export type Message =
  | { readonly kind: "ready" }
  | { readonly kind: "seen"; readonly url: string; readonly nonce: string }
  | {
      readonly kind: "created";
      readonly number: number;
      readonly urls: string[];
      readonly ms: number;
    }
  | {
      readonly kind: "fetched";
      readonly number: number;
      readonly arrived: number;
      readonly ms: number;
    }
  | { readonly kind: "done"; readonly number: number }
  | { readonly kind: "failed"; readonly number: number; readonly reason: string };

/** To the bench; a no-op when the process was started by hand. */
export function tell(message: Message): void {
  process.send?.(message);
}
