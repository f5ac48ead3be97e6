import { describe, expect, test } from "bun:test";
import { config, problems, SECRET, warnings } from "../../support/load-settings.ts";

describe("names that mean nothing", () => {
  test("a misspelt variable is told with the nearest known one", () => {
    expect(warnings({ environment: { PEAT_BROKER_PROT: "1" } })).toContain(
      "PEAT_BROKER_PROT is no setting; did you mean PEAT_BROKER_PORT?",
    );
  });

  test("a variable of the older sidecar that means nothing here is told with a remedy", () => {
    const environment = { PEAT_NODE_DISABLE_MDNS: "true" };
    expect(warnings({ environment }).join()).toContain("leave mdns out of PEAT_DISCOVERY");
  });

  test("what Kubernetes puts in for Services named peat-… is no typing error", () => {
    const environment = {
      PEAT_API_TOKEN: "correct-horse-battery",
      PEAT_MESH_SERVICE_HOST: "10.0.0.1",
      PEAT_MESH_SERVICE_PORT_BROKER: "8081",
      PEAT_MESH_PORT: "tcp://10.0.0.1:8081",
      PEAT_MESH_PORT_8081_TCP_ADDR: "10.0.0.1",
    };
    expect(warnings({ environment })).toEqual([]);
  });

  test("other programs' variables are none of our business", () => {
    const environment = { PEAT_API_TOKEN: "correct-horse-battery", PATH: "/bin", PEATY: "1" };
    expect(warnings({ environment })).toEqual([]);
  });
});

describe("settings whose behaviour is not built", () => {
  const quiet = { PEAT_API_TOKEN: "correct-horse-battery" };

  test("a value that differs from the default is told to be without effect", () => {
    const environment = { ...quiet, PEAT_LITE_PORT: "5556" };
    expect(warnings({ environment })).toEqual([
      "PEAT_LITE_PORT is accepted but has no effect in this version",
    ]);
  });

  test("the default, written out as the chart does, is told nothing of", () => {
    const environment = { ...quiet, PEAT_LITE_PORT: "5555" };
    expect(warnings({ environment })).toEqual([]);
  });

  test("they are checked all the same", () => {
    const environment = { PEAT_COMPACTION_INTERVAL_SECS: "9", PEAT_SYNC_MODES: "tracks=Some" };
    expect(problems({ environment })).toHaveLength(2);
  });

  test("certificates can't be required, because none is checked", () => {
    const environment = { PEAT_REQUIRE_CERTIFICATES: "true" };
    expect(problems({ environment }).join()).toContain("PEAT_REQUIRE_CERTIFICATES");
  });

  test("an encryption key has exactly 32 bytes, those before it too", () => {
    const short = Buffer.alloc(31).toString("base64");
    const good = {
      PEAT_ENCRYPTION_KEY: SECRET,
      PEAT_ENCRYPTION_KEY_PREVIOUS: `${SECRET},${SECRET}`,
    };
    expect(problems({ environment: good })).toEqual([]);
    expect(problems({ environment: { ...good, PEAT_ENCRYPTION_KEY: "off" } })).toEqual([]);
    const bad = { PEAT_ENCRYPTION_KEY: short, PEAT_ENCRYPTION_KEY_PREVIOUS: short };
    const told = problems({ environment: bad });
    expect(told.filter((text) => text.includes("exactly 32 bytes"))).toHaveLength(2);
  });

  test("an encryption key that is missing is not taken for one that was turned off", () => {
    const environment = { PEAT_ENCRYPTION_KEY_PREVIOUS: SECRET };
    expect(problems({ environment }).join()).toContain("PEAT_ENCRYPTION_KEY is not; set that");
    expect(config({ environment: { ...quiet, PEAT_ENCRYPTION_KEY: "off" } }).encryptionKey).toBe(
      "off",
    );
  });
});

describe("the configuration file", () => {
  test("keys are settings' names or the chart's, lists may be lists", () => {
    const yaml = `
discoveryMode: mdns
rustLog: warn
irohRelayUrls: ""
compaction:
  enabled: true
  collections: [beacons, tracks]
staticPeers:
  - hq@hq.example:1
documentBytesMax: 2MiB
`;
    const read = config({ yaml });
    expect(read.discovery).toEqual(["mdns", "static"]);
    expect(read.logFilter).toBe("warn");
    expect(read.irohRelayUrls).toEqual([]);
    expect(read.compactionEnabled).toBe(true);
    expect(read.compactionCollections).toEqual(["beacons", "tracks"]);
    expect(read.documentBytesMax).toBe(2 * 1024 * 1024);
  });

  test.each([
    ["an unknown key", "brokerPrt: 1", "brokerPrt: there is no such setting; did you mean"],
    [
      "an unknown key in a section",
      "compaction: {enabeld: true}",
      "did you mean compaction.enabled",
    ],
    ["text for a number", 'brokerPort: "8081"', "brokerPort: must be a number, not text"],
    ["a number for text", "nodeName: 12", "nodeName: must be text (in quotes), not a number"],
    ["a number for yes or no", "compactionEnabled: 1", "must be true or false, not a number"],
    ["a list for text", "dataDir: [a]", "dataDir: must be text (in quotes), not a list"],
    ["a mapping for a list", "staticPeers: {a: b}", "staticPeers: must be a list or text"],
    ["an item with a comma", 'corsOrigins: ["http://a,http://b"]', "has a comma"],
    ["a list of numbers", "corsOrigins: [1]", "must be a list of texts"],
    ["a list at the top", "- a", "must be a mapping of settings"],
    ["no YAML", "a: [", "is not YAML"],
  ])("%s is a problem that names file and key", (_, yaml, told) => {
    const found = problems({ yaml });
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith("c.yaml: ");
    expect(found[0]).toContain(told);
  });

  test("two keys of one setting with different values are a problem", () => {
    const yaml = "compactionEnabled: false\ncompaction: {enabled: true}";
    expect(problems({ yaml }).join()).toContain("have different values");
  });

  test("the empty file says nothing", () => {
    expect(problems({ yaml: "" })).toEqual([]);
    expect(problems({ yaml: "# only a comment\n" })).toEqual([]);
  });
});
