// What is generated from tables is committed as it would be generated now.
import { expect, test } from "bun:test";
import { stalePaths } from "../scripts/generate.ts";

/** The protocol compiler is a program of its own; on a busy machine it takes its time. */
const LIMIT_MS = 60_000;

test(
  "every generated file is what its table says",
  () => {
    expect(stalePaths()).toEqual([]);
  },
  LIMIT_MS,
);
