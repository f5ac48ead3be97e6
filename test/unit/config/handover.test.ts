// Settings that come to a running node by a file.
import { expect, test } from "bun:test";
import { chmodSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import {
  answerHandover,
  answerOf,
  clearHandover,
  handOver,
  withHandedOver,
} from "../../../src/config/handover.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const OLD = { PATH: "/bin", RUST_LOG: "info", PEAT_NODE_ID: "a" };

test("settings come over, and nothing else; one that is not given any more is gone", () => {
  using folder = tempFolder();
  handOver(folder.path, { PATH: "/evil", LD_PRELOAD: "x", PEAT_NODE_ID: "b" });
  expect(statSync(folder.file("reload.json")).mode & 0o777).toBe(0o600);
  expect(withHandedOver(folder.path, OLD)).toEqual({ PATH: "/bin", PEAT_NODE_ID: "b" });
  expect(answerOf(folder.path)).toBeUndefined();
  answerHandover(folder.path, []);
  expect(answerOf(folder.path)).toEqual([]);
  expect(withHandedOver(folder.path, OLD)).toBe(OLD);
});

test("a file that others could have read, that is a link, or that says something else is not believed", () => {
  using folder = tempFolder();
  const path = folder.file("reload.json");
  for (const text of ["", "[]", "null", '{"RUST_LOG":1}', '"RUST_LOG"', '{"RUST_LOG":"debug"']) {
    writeFileSync(path, text, { mode: 0o600 });
    expect(withHandedOver(folder.path, OLD)).toBe(OLD);
  }
  writeFileSync(path, '{"RUST_LOG":"debug"}');
  expect(withHandedOver(folder.path, OLD)).toMatchObject({ RUST_LOG: "debug" });
  chmodSync(path, 0o640);
  expect(withHandedOver(folder.path, OLD)).toBe(OLD);
  clearHandover(folder.path);
  writeFileSync(folder.file("other"), '{"RUST_LOG":"debug"}', { mode: 0o600 });
  symlinkSync(folder.file("other"), path);
  expect(withHandedOver(folder.path, OLD)).toBe(OLD);
});

test("a refusal comes with its reasons, and is forgotten at the next time", () => {
  using folder = tempFolder();
  // Nobody has asked.
  answerHandover(folder.path, ["x"]);
  expect(readdirSync(folder.path)).toEqual([]);
  handOver(folder.path, OLD);
  answerHandover(folder.path, ["PEAT_A: is wrong", "PEAT_B: too"]);
  expect(answerOf(folder.path)).toEqual(["PEAT_A: is wrong", "PEAT_B: too"]);
  handOver(folder.path, OLD);
  expect(answerOf(folder.path)).toBeUndefined();
  answerHandover(folder.path, []);
  expect(answerOf(folder.path)).toEqual([]);
  handOver(folder.path, OLD);
  clearHandover(folder.path);
  expect(readdirSync(folder.path)).toEqual([]);
});
