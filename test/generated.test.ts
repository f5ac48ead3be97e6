// What is generated from tables is committed as it would be generated now.
import { expect, test } from "bun:test";
import { stalePaths } from "../scripts/generate.ts";

test("every generated file is what its table says", () => {
  expect(stalePaths()).toEqual([]);
});
