// From the start of the process until it calls itself ready.
import type { Formation } from "../support/formation.ts";
import { type Plan, rounds } from "./plan.ts";
import type { Aim, Report } from "./report.ts";

export const EMPTY_START: Aim = { atMost: 200 };
export const FULL_START: Aim = { atMost: 500 };

export interface StartOptions {
  readonly formation: Formation;
  readonly name: string;
  /** Throw the node's data away before each start. */
  readonly isEmpty: boolean;
  readonly aim: Aim;
}

export async function benchStart(options: StartOptions, plan: Plan, report: Report): Promise<void> {
  const { formation } = options;
  const ms = await rounds(plan, async () => {
    await formation.stop(2);
    if (options.isEmpty) await formation.wipe(2);
    const node = await formation.start(2);
    return node.ready();
  });
  report.add(options.name, ms, "ms", options.aim);
}
