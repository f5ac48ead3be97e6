// What the bill of materials counts as inside of the executable.
import { expect, test } from "bun:test";
import { closure, readLock, renderSbom } from "../../../scripts/package/sbom.ts";

const LOCK = `{
  "packages": {
    "a": ["a@1.0.0", "", { "dependencies": { "b": "^1.0.0", "c": "1" } }, "sha512-AAAA"],
    "b": ["b@1.2.0", "", {}, "sha512-AAAA"],
    "c": ["c@1.0.0", "", { "dependencies": { "b": "^2.0.0" }, "optionalDependencies": { "gone": "1" } }, "sha512-AAAA"],
    "c/b": ["b@2.0.0", "", { "dependencies": { "@s/d": "1" } }, "sha512-AAAA"],
    "@s/d": ["@s/d@3.0.0", "", { "peerDependencies": { "a": "1" } }, "sha512-AAAA"],
    "tool": ["tool@9.0.0", "", {}, "sha512-AAAA"],
  },
}`;

test("it is what the dependencies need, each in the version that its parent gets, and nothing else", () => {
  const inside = closure(readLock(LOCK), ["a"], () => true);
  expect(inside.map(({ name, version }) => `${name}@${version}`)).toEqual([
    "@s/d@3.0.0",
    "a@1.0.0",
    "b@1.2.0",
    "c@1.0.0",
    "b@2.0.0",
  ]);
});

test("what is not wanted is not followed either", () => {
  const inside = closure(readLock(LOCK), ["a"], (name) => name !== "c");
  expect(inside.map(({ key }) => key)).toEqual(["a", "b"]);
});

test("the bill of this tree: one addon, the runtime, every package with its hash and license", async () => {
  const text = await renderSbom("linux-x64-gnu", new Date(0));
  expect(await renderSbom("linux-x64-gnu", new Date(0))).toBe(text);
  const bill: {
    specVersion: string;
    components: { name: string; hashes?: unknown[]; licenses?: unknown[] }[];
  } = JSON.parse(text);
  expect(bill.specVersion).toBe("1.6");
  const names = bill.components.map(({ name }) => name);
  expect(names.filter((name) => name.startsWith("@number0/"))).toEqual([
    "@number0/iroh",
    "@number0/iroh-linux-x64-gnu",
  ]);
  expect(names).toContain("bun");
  expect(names).not.toContain("typescript");
  const doubtful = bill.components.filter(
    (c) => c.licenses === undefined || c.hashes === undefined,
  );
  expect(doubtful.map(({ name }) => name)).toEqual(["bun"]);
});
