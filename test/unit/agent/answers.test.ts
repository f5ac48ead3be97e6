import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseDeployments, parsePulledPackages, parseStatus } from "../../../src/agent/answers.ts";
import { toDeploymentDocuments, toPackageDocuments } from "../../../src/agent/documents.ts";
import { Fault } from "../../../src/base/faults.ts";

const deployment = (entry: object) => parseDeployments(JSON.stringify({ packages: [entry] }))[0];

const tag = (fields: object) => {
  const packages = [{ packageName: "p", tags: [fields] }];
  return parsePulledPackages(JSON.stringify({ registries: [{ host: "h", packages }] }))[0];
};

function codeOf(read: () => unknown): string {
  try {
    read();
    return "read";
  } catch (error) {
    return error instanceof Fault ? error.code : `not a fault: ${error}`;
  }
}

describe("an answer of the agent", () => {
  test.each([
    [2, 2],
    ["2", 2],
    ["-1", -1],
    [2.5, null],
    ["PACKAGE_STATUS_DEPLOYED", "PACKAGE_STATUS_DEPLOYED"],
    ["no enum's name", null],
    [{ number: 2 }, null],
    [null, null],
    [undefined, null],
  ])("may have %p as an enum, which is %p", (status, read) => {
    expect(deployment({ status })?.status).toBe(read);
  });

  test("may write a whole number with a point", () => {
    expect(parseDeployments('{"packages":[{"status":5.0}]}')[0]?.status).toBe(5);
  });

  test.each([
    [12, 12],
    ["12", 12],
    ["9007199254740995", 9007199254740995n],
    ["9223372036854775808", null],
    [-1, null],
    ["twelve", null],
    [undefined, null],
  ])("may have %p as a 64-bit number, which is %p", (totalBytes, read) => {
    expect(tag({ totalBytes })?.totalBytes).toBe(read);
  });

  test("may spell its names as the proto file does, and say more than is known", () => {
    const entry = { package_name: "p", tags: [{ total_bytes: "7", pull_info: { status: "3" } }] };
    const text = JSON.stringify({ registries: [{ host: "h", newer: [], packages: [entry] }] });
    const [pulled] = parsePulledPackages(text);
    expect(pulled).toMatchObject({ packageName: "p", totalBytes: 7, pullStatus: 3 });
    expect(parseStatus('{"k8s_version":"v1","k8sNodeStatus":"Ready","x":1}')).toMatchObject({
      k8sVersion: "v1",
      k8sNodeStatus: "Ready",
      version: null,
    });
  });

  test("without a list has an empty one, as protobuf's JSON leaves it out", () => {
    expect(parseDeployments("{}")).toEqual([]);
    expect(parsePulledPackages('{"registries":[{"host":"h"}]}')).toEqual([]);
  });

  test.each([
    ["", "no JSON"],
    ["[]", "a list"],
    ['{"packages":{}}', "an object for a list"],
    ['{"packages":[1]}', "a number for a package"],
    [`${"[".repeat(100_000)}`, "nothing but nesting"],
    [JSON.stringify({ packages: new Array(10_001).fill({}) }), "too many packages"],
  ])("is refused whole where it is no list of packages (%#)", (text) => {
    expect(codeOf(() => parseDeployments(text))).toBe("wire_invalid");
  });

  test("of any JSON is read or refused, and what is read can be a document", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const texts = [
          JSON.stringify(a),
          JSON.stringify({ packages: [{ name: a, status: b, annotations: a }] }),
          JSON.stringify({ registries: [{ host: a, packages: [{ tags: [{ reference: b }] }] }] }),
        ];
        for (const text of texts) {
          const read = codeOf(() => {
            toDeploymentDocuments("n", parseDeployments(text));
            toPackageDocuments("n", parsePulledPackages(text));
            parseStatus(text);
          });
          expect(["read", "wire_invalid"]).toContain(read);
        }
      }),
    );
  });
});

describe("annotations", () => {
  test("are a map of texts; what is none is left out", () => {
    const annotations = { a: "x", b: 1, c: {}, ["__proto__"]: "y", "\ud800": "z" };
    expect(deployment({ annotations })?.annotations).toEqual({ a: "x", b: "1" });
    expect(deployment({ annotations: "none" })?.annotations).toBeNull();
  });
});

describe("documents of one agent", () => {
  const packages = [
    { name: "a", namespaceOverride: "blue", version: "2" },
    { name: "a", version: "1" },
    { name: "b", namespaceOverride: "red", version: "3" },
  ];
  const idsOf = (list: readonly object[]) =>
    [...toDeploymentDocuments("n", parseDeployments(JSON.stringify({ packages: list })))].map(
      ([id, document]) => `${id} ${document["version"]}`,
    );

  test("keep packages apart that are deployed in several namespaces", () => {
    expect(idsOf(packages)).toEqual(["n:a 1", "n:a:blue 2", "n:b 3"]);
  });

  test("are the same in whatever order the agent names them", () => {
    expect(idsOf(packages.toReversed())).toEqual(idsOf(packages));
  });

  test("are those of the older sidecar, with its defaults", () => {
    const [[id, document] = []] = [...toPackageDocuments("n", [...parsePulled({})])];
    expect(id).toBe("n:unknown-unknown");
    expect(document).toEqual({
      agent_id: "n",
      registry: "h",
      package: "p",
      reference: "unknown",
      arch: "unknown",
      version: null,
      total_bytes: null,
      pull_status: 0,
    });
  });
});

function parsePulled(fields: object) {
  const packages = [{ packageName: "p", tags: [fields] }];
  return parsePulledPackages(JSON.stringify({ registries: [{ host: "h", packages }] }));
}
