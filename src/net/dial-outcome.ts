// What becomes of a dial, and of several side by side.

export type DialOutcome = "reached" | "failed" | "no protocol";

/** "reached" as soon as one is; otherwise, when all have ended, the most telling outcome. */
export async function firstReached(dials: readonly Promise<DialOutcome>[]): Promise<DialOutcome> {
  const reached = Promise.race(
    dials.map(async (dial) => ((await dial) === "reached" ? "reached" : never<"reached">())),
  );
  const all = Promise.all(dials).then((outcomes) =>
    outcomes.includes("reached")
      ? "reached"
      : outcomes.includes("no protocol")
        ? "no protocol"
        : "failed",
  );
  return Promise.race([reached, all]);
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
