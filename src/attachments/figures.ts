// What the exchange of files is doing, in figures for whoever shows them.
import { type Distribution, isOver } from "./distribution.ts";
import type { InboxFigures } from "./inbox.ts";
import type { FileTraffic } from "./links.ts";

export interface FileFigures {
  readonly traffic: FileTraffic;
  /** Files times nodes that are to have them, by how far they are; undefined where nothing is sent. */
  readonly sending: { readonly waiting: number; readonly transferring: number } | undefined;
  /** Undefined where nothing is received. */
  readonly inbox: InboxFigures | undefined;
}

export function pendingOf(distributions: readonly Distribution[]): FileFigures["sending"] {
  let waiting = 0;
  let transferring = 0;
  for (const { targets, nodes } of distributions) {
    for (const id of targets) {
      const state = nodes.get(id);
      if (state === undefined) waiting += 1;
      else if (!isOver(state)) transferring += 1;
    }
  }
  return { waiting, transferring };
}
