import { describe, expect, test } from "bun:test";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";

describe("the rules of a collection", () => {
  const builtIn = new CollectionPolicies(NO_CHOICES);

  test("the older node's table holds, and unknown collections keep everything", () => {
    expect(builtIn.describe("tracks")).toBe("LatestOnly tombstone:3600 ttl:none");
    expect(builtIn.describe("alerts")).toBe("FullHistory tombstone:14400 ttl:none");
    expect(builtIn.describe("track_history")).toBe(
      "WindowedHistory:300 soft_delete:memory ttl:none",
    );
    expect(builtIn.describe("recipes")).toBe("FullHistory soft_delete:memory ttl:none");
    expect(builtIn.kindOf("track_history")).toBe("latest");
    expect(builtIn.kindOf("recipes")).toBe("history");
  });

  test("of two lifetimes the shorter counts", () => {
    expect(builtIn.of("beacons").ttlSecs).toBe(600);
    expect(builtIn.of("platforms").ttlSecs).toBe(3600);
    const offline = new CollectionPolicies({ ...NO_CHOICES, ttlPreset: "offline_node" });
    expect(offline.of("beacons").ttlSecs).toBe(30);
    expect(offline.of("cells").ttlSecs).toBe(3600);
  });

  test("what is chosen replaces the built-in rule of that collection only", () => {
    const chosen = new CollectionPolicies({
      ...NO_CHOICES,
      modes: [{ collection: "tracks", mode: { kind: "FullHistory" } }],
      deletions: [{ collection: "recipes", policy: { kind: "immutable" } }],
      deletionMemoryDays: 30,
    });
    expect(chosen.describe("tracks")).toBe("FullHistory tombstone:3600 ttl:none");
    expect(chosen.describe("recipes")).toBe("FullHistory immutable:memory ttl:none");
    expect(chosen.describe("nodes")).toBe(builtIn.describe("nodes"));
    expect(chosen.of("recipes").tombstoneSecs).toBe(30 * 86_400);
    expect(chosen.named()).toContain("recipes");
    expect(builtIn.named()).not.toContain("recipes");
  });
});
