// Reads histories in a thread of its own: Automerge loads a document in one piece, which may take seconds, and its
// memory is given back when the thread ends.
import { Fault } from "../base/faults.ts";
import { type NewestChanges, type ReadWish, readNewest } from "./change-reader.ts";

export type ReadAnswer =
  | { readonly kind: "read"; readonly found: NewestChanges }
  /** What a Fault `wire_invalid` says. */
  | { readonly kind: "damaged"; readonly why: string };

function answer(wish: ReadWish): ReadAnswer {
  try {
    return { kind: "read", found: readNewest(wish) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { kind: "damaged", why: error.message };
  }
}

addEventListener("message", ({ data }: MessageEvent<ReadWish>) => postMessage(answer(data)));
