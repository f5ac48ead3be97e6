import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import { FAULTS, Fault, messageOf } from "../../../src/base/faults.ts";
import { getLog, type LogOptions, openLog, parseLogFilter } from "../../../src/base/log.ts";
import { Secret } from "../../../src/base/secret.ts";

function logged(filter: string, write: () => void, options: Partial<LogOptions> = {}): string[] {
  const lines: string[] = [];
  openLog({
    filter: parseLogFilter(filter),
    format: "text",
    colour: false,
    write: (line) => lines.push(line),
    ...options,
  });
  write();
  openLog({ filter: parseLogFilter("off"), format: "text", colour: false, write: () => undefined });
  return lines;
}

const mesh = getLog("peat_mesh::storage::automerge_store");
const node = getLog("peat_mesh_node");

describe("a log line", () => {
  test("has the older node's shape: time, level, target, words, fields", () => {
    const [line] = logged("info", () => mesh.info("Peer connected to Iroh", { peer: "a", n: 1 }));
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z {2}INFO peat_mesh::storage::automerge_store: Peer connected to Iroh peer=a n=1\n$/,
    );
  });

  test.each(["text", "json"] as const)("below ERROR never contains the word (%s)", (format) => {
    const run = () => {
      mesh.warn("Commit refused", { cause: "disk I/O Error" });
      mesh.error("Commit failed", { cause: "disk I/O error" });
    };
    const lines = logged("trace", run, { format });
    expect(lines[0]).not.toMatch(/error/i);
    expect(lines[1]).toMatch(/error/);
  });

  test("is one JSON object on request", () => {
    const [line = ""] = logged("info", () => node.info("Mesh started", { node_id: "a" }), {
      format: "json",
    });
    expect(JSON.parse(line)).toMatchObject({
      level: "info",
      target: "peat_mesh_node",
      message: "Mesh started",
      node_id: "a",
    });
  });

  test("says as JSON who wrote it at what level, whatever its fields are named", () => {
    const run = () => node.info("Mesh started", { level: "none", target: "x" });
    const [line = ""] = logged("info", run, { format: "json" });
    expect(JSON.parse(line)).toMatchObject({ level: "info", target: "peat_mesh_node" });
  });

  test("has colour only when asked for", () => {
    expect(logged("info", () => node.info("x"))[0]).not.toContain("\u001b");
    expect(logged("info", () => node.info("x"), { colour: true })[0]).toContain("\u001b[32m INFO");
  });
});

describe("RUST_LOG", () => {
  const told = (filter: string) =>
    logged(filter, () => {
      mesh.debug("mesh debug");
      mesh.info("mesh info");
      node.info("node info");
      node.error("node error");
    }).map((line) => line.trimEnd().split(": ").at(-1));

  test("a level is for all targets, a longer target wins", () => {
    expect(told("info")).toEqual(["mesh info", "node info", "node error"]);
    expect(told("info,peat_mesh=debug")).toEqual([
      "mesh debug",
      "mesh info",
      "node info",
      "node error",
    ]);
    expect(told("warn,peat_mesh::storage=info")).toEqual(["mesh info", "node error"]);
    expect(told("peat_mesh_node=info")).toEqual(["node info", "node error"]);
    expect(told("off")).toEqual([]);
    expect(told("")).toEqual(["node error"]);
  });

  test("parts that make no sense are named and change nothing", () => {
    expect(parseLogFilter("info,=,peat=loud").ignored).toEqual(["=", "peat=loud"]);
    expect(told("info,peat=loud")).toEqual(["mesh info", "node info", "node error"]);
  });
});

test("a secret shows itself only where it is asked to", () => {
  const secret = new Secret("hush");
  const shown = [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), String(secret)];
  for (const text of shown) {
    expect(text).not.toContain("hush");
    expect(text).toContain("[secret]");
  }
  expect(secret.expose()).toBe("hush");
});

describe("a fault", () => {
  test("knows what each edge makes of it", () => {
    const fault = new Fault("document_not_found", "document not found: a/1", {}, new Error("why"));
    expect([fault.httpStatus, fault.exitCode]).toEqual([404, 66]);
    expect(fault.cause).toBeInstanceOf(Error);
  });

  test("of every kind has a status, and an exit that is not success", () => {
    for (const row of Object.values(FAULTS)) {
      expect(row.http).toBeGreaterThanOrEqual(400);
      expect(row.exit).toBeGreaterThanOrEqual(64);
    }
  });

  test("is told by its first line, whatever was thrown", () => {
    expect(messageOf(new Error("first\n  at second"))).toBe("first");
    expect(messageOf("text")).toBe("text");
    expect(messageOf(undefined)).toBe("undefined");
  });
});
