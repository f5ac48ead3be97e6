import { expect, test } from "bun:test";
import {
  CollectionPolicies,
  NO_CHOICES,
  type PolicyChoices,
} from "../../../src/store/collection-policies.ts";
import { RuleDifferences, rulesOf } from "../../../src/sync/rule-differences.ts";
import { openMemoryStore } from "../../support/memory-store.ts";
import { LogLines } from "../../support/start-node.ts";

/** What a node with the default rules makes of a peer's. */
function hear(choices: Partial<PolicyChoices>) {
  using log = new LogLines();
  const store = openMemoryStore();
  const peer = new CollectionPolicies({ ...NO_CHOICES, ...choices });
  const areEqual = peer.fingerprint === store.policies.fingerprint;
  const differences = new RuleDifferences(store, { peerName: "node-b", areEqual });
  differences.told(rulesOf(peer));
  const isAllCompared = differences.compared === store;
  store.close();
  return { areEqual, isAllCompared, collections: differences.collections, told: log.lines };
}

test("equal rules differ in nothing", () => {
  const heard = hear({});
  expect(heard).toEqual({ areEqual: true, isAllCompared: true, collections: [], told: [] });
});

test("another lifetime sets its collections apart, and says which", () => {
  const { told, ...heard } = hear({ ttlPreset: "tactical" });
  expect(heard).toEqual({ areEqual: false, isAllCompared: false, collections: ["beacons"] });
  expect(told.join()).toContain("PEAT_TTL_PRESET");
});

test("another memory of deletions is told, and sets nothing apart", () => {
  const { told, ...heard } = hear({ deletionMemoryDays: 30 });
  expect(heard).toEqual({ areEqual: false, isAllCompared: true, collections: [] });
  expect(told.join()).toMatch(/WARN.*PEAT_DELETION_MEMORY_DAYS.*peer=node-b/);
});
