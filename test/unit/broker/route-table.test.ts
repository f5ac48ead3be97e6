import { describe, expect, test } from "bun:test";
import { RouteTable } from "../../../src/broker/route-table.ts";

const table = new RouteTable([
  { method: "GET", path: "/a/:x/:y" },
  { method: "PUT", path: "/a/:x/:y" },
  { method: "GET", path: "/a/:x" },
  { method: "WS", path: "/ws" },
]);

describe("the methods of a path", () => {
  test("are all that are routed, with those that follow from them", () => {
    expect(table.methodsOf("/a/1/2")).toEqual(["GET", "HEAD", "PUT", "OPTIONS"]);
    expect(table.methodsOf("/a/1")).toEqual(["GET", "HEAD", "OPTIONS"]);
    expect(table.methodsOf("/ws")).toEqual(["GET", "OPTIONS"]);
  });

  test("are none for a path that there is not, nor for an empty segment", () => {
    for (const path of ["/", "/a", "/a/", "/a/1/", "/a//2", "/a/1/2/3", "/ws/", "/b"]) {
      expect(table.methodsOf(path)).toEqual([]);
    }
  });
});
