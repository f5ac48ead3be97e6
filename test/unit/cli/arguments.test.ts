import { describe, expect, test } from "bun:test";
import { Fault } from "../../../src/base/faults.ts";
import { type OptionRow, readArguments } from "../../../src/cli/arguments.ts";

const OPTIONS: readonly OptionRow[] = [
  { name: "json", help: "" },
  { name: "name", value: "NAME", help: "" },
  { name: "help", short: "h", help: "" },
];

const read = (...args: string[]) => readArguments(args, OPTIONS, true);

function problem(...args: string[]): string {
  try {
    read(...args);
  } catch (error) {
    if (error instanceof Fault && error.code === "invalid_argument") return error.message;
  }
  throw new Error("expected a usage fault");
}

describe("a command line", () => {
  test("has words, options and settings' flags", () => {
    const { words, options, flags } = read("/x", "--json", "--name", "n", "--broker-port=1", "-h");
    expect(words).toEqual(["/x"]);
    expect(Object.fromEntries(options)).toEqual({ json: "true", name: "n", help: "true" });
    expect(Object.fromEntries(flags)).toEqual({ "broker-port": "1" });
  });

  test("a list's flag may be given in parts", () => {
    const { flags } = read("--static-peers", "a@b:1", "--static-peers=c@d:2");
    expect(flags.get("static-peers")).toBe("a@b:1,c@d:2");
  });

  test("anything else given twice must agree with itself", () => {
    expect(read("--broker-port", "1", "--broker-port", "1").flags.get("broker-port")).toBe("1");
    expect(problem("--broker-port", "1", "--broker-port", "2")).toContain("given twice");
  });

  test("a yes-or-no setting is a switch, which may say no", () => {
    expect(read("--compaction-enabled").flags.get("compaction-enabled")).toBe("true");
    expect(read("--compaction-enabled=false").flags.get("compaction-enabled")).toBe("false");
    expect(read("--compaction-enabled", "word").words).toEqual(["word"]);
  });

  test.each([
    [["--brokr-port", "1"], "no option --brokr-port here; did you mean --broker-port?"],
    [
      ["--formation-secret", "AAAA"],
      "the flag of PEAT_FORMATION_SECRET is --formation-secret-file",
    ],
    [["--node-id", "a"], "no option --node-id here; the flag of PEAT_NODE_ID is --node-name"],
    [["--broker-port"], "--broker-port needs a value"],
    [["--broker-port", "--json"], "--broker-port needs a value"],
    [["--json=yes"], "--json takes no value"],
    [["-x"], "no option -x here"],
    [["--__proto__=1"], "no option --__proto__ here"],
  ])("%p is refused", (args, told) => {
    expect(problem(...args)).toContain(told);
  });

  test("behind two dashes everything is a word", () => {
    expect(read("--", "--json").words).toEqual(["--json"]);
  });

  test("settings' flags are unknown to a command that takes none", () => {
    expect(() => readArguments(["--broker-port=1"], OPTIONS, false)).toThrow("no option");
  });
});
