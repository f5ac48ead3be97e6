// What a state must keep to: sizes of what local writes leave, and what is believed of a peer.
import { Fault } from "../base/faults.ts";
import { parseJson, printJson } from "./json.ts";
import { checkLatest, highestN, type LatestState, type State } from "./state.ts";

/** Largest state of a document without history that a local write may leave. */
const LATEST_BYTES_MAX = 24 * 1024 * 1024;
/** Beyond these a peer's state is refused: a few writes on top of it, and its numbers would no longer fit. */
export const FOREIGN_N_MAX = 2 ** 53 - 2 ** 43;
export const FOREIGN_LIFE_MAX = 0xffff_0000;
/** Peers' values may nest deeper than local writes may; this only protects the stack. */
const FOREIGN_DEPTH_MAX = 1000;

/** Removed fields and their stamps are kept; a state that can't be sent must not come to be. */
export function checkStateSize(bytes: number, key: string): void {
  if (bytes <= LATEST_BYTES_MAX) return;
  const sentence = `document ${key} holds too much that was removed from it; replace it by a PUT`;
  throw new Fault("conflict", sentence);
}

export function checkBodySize(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  const sentence = `document of ${bytes} bytes exceeds the limit of ${bytesMax} (PEAT_DOCUMENT_BYTES_MAX)`;
  throw new Fault("payload_too_large", sentence);
}

export function checkNumbers(state: State): void {
  if (highestN(state) <= FOREIGN_N_MAX && state.life <= FOREIGN_LIFE_MAX) return;
  throw new Fault("wire_invalid", "a stamp or a life is at the end of its numbers");
}

/** A latest state's texts are spliced into answers as they are, so they have to be what they claim to be. */
export function checkForeign(state: LatestState): void {
  checkLatest(state);
  for (const [name, field] of state.fields) {
    if (!name.isWellFormed()) throw new Fault("wire_invalid", "field name is not well-formed text");
    if (field.json === undefined) continue;
    let canonical: string;
    try {
      canonical = printJson(parseJson(field.json), FOREIGN_DEPTH_MAX);
    } catch (cause) {
      throw new Fault("wire_invalid", "field value is not JSON", {}, cause);
    }
    if (canonical !== field.json)
      throw new Fault("wire_invalid", "field value is not canonical JSON");
  }
}
