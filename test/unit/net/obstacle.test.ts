// What a failed dial says of the peer: the transport's kinds, and the words with which peers close.
import { describe, expect, test } from "bun:test";
import { Fault } from "../../../src/base/faults.ts";
import { DialError, type DialErrorKind } from "../../../src/net/link.ts";
import { CLOSE } from "../../../src/net/membership.ts";
import { type Obstacle, obstacleOfReason, troubleOf } from "../../../src/net/obstacle.ts";

describe("a failed dial", () => {
  const kinds: readonly [DialErrorKind, Obstacle][] = [
    ["stranger", "stranger"],
    ["unresolved", "unresolved"],
    ["held", "held"],
    ["no protocol", "unreached"],
    ["other", "unreached"],
  ];
  test.each(kinds)(
    "of kind %s is the obstacle %s, in the first line of its words",
    (kind, obstacle) => {
      const error = new DialError("told\nwith a stack", kind);
      expect(troubleOf(error)).toEqual({ obstacle, text: "told" });
    },
  );

  test("is whatever the peer closed with; other refusals say nothing that lasts", () => {
    const turnedAway = (closedWith: string) => new Fault("peer_refused", "no", { closedWith });
    expect(troubleOf(turnedAway(CLOSE.stopped.reason)).obstacle).toBe("stopped");
    expect(troubleOf(turnedAway(CLOSE.unwanted.reason)).obstacle).toBe("unwanted");
    expect(troubleOf(turnedAway(CLOSE.authFailed.reason)).obstacle).toBe("stranger");
    expect(troubleOf(turnedAway(CLOSE.duplicateName.reason)).obstacle).toBe("duplicate");
    expect(troubleOf(turnedAway("toString")).obstacle).toBe("unreached");
    expect(troubleOf(new Fault("peer_refused", "said nothing")).obstacle).toBe("unreached");
    expect(troubleOf("a text").obstacle).toBe("unreached");
  });
});

test("an ordinary end is no obstacle", () => {
  for (const reason of ["", "timed out", CLOSE.superseded.reason, "constructor"]) {
    expect(obstacleOfReason(reason)).toBeUndefined();
  }
});
