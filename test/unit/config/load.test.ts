import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import {
  config,
  load,
  OTHER_SECRET,
  origin,
  problems,
  SECRET,
  warnings,
} from "../../support/load-settings.ts";

describe("the two programs", () => {
  test("peat-mesh-node starts with the deployment guide's defaults", () => {
    const node = config();
    expect(node.nodeName as string).toBe("pod-3");
    expect(node.dataDir).toBe("/data");
    expect(node.discovery).toEqual(["kubernetes"]);
    expect(node.brokerAddr).toBe("0.0.0.0");
    expect(node.brokerPort).toBe(8081);
    expect(node.brokerReads).toBe("open");
    expect(node.apiOpen).toBe("loopback");
    expect(node.irohBindPort).toBe(11204);
    expect(node.irohRelayUrls).toEqual([]);
    expect(node.listen).toEqual([]);
    expect(node.compactionEnabled).toBe(false);
    expect(node.compactionIntervalSecs).toBe(300);
    expect(node.compactionThresholdBytes).toBe(65_536);
    expect(node.logFilter).toBe("info,peat_mesh=debug");
    expect(node.runtimeDir).toBe("/data");
    expect(node.documentBytesMax).toBe(1024 * 1024);
  });

  test("peat-sidecar starts with the host package's", () => {
    const sidecar = config({ program: "peat-sidecar", environment: { HOSTNAME: "" } });
    expect(sidecar.nodeName as string).toBe("bench-7");
    expect(sidecar.dataDir).toBe("/var/lib/peat-sidecar");
    expect(sidecar.discovery).toEqual(["mdns"]);
    expect(sidecar.brokerAddr).toBe("127.0.0.1");
    expect(sidecar.brokerReads).toBe("open");
    expect(sidecar.apiOpen).toBe("none");
    expect(sidecar.listen).toEqual([{ kind: "unix", path: "/var/run/peat-sidecar.sock" }]);
  });

  test("a sidecar whose broker leaves loopback lets only token holders read", () => {
    const environment = { PEAT_BROKER_ADDR: "192.0.2.7" };
    expect(config({ program: "peat-sidecar", environment }).brokerReads).toBe("token");
  });

  test("a mesh node without any name says that others have its name too", () => {
    const given = { environment: { HOSTNAME: "" } };
    expect(config(given).nodeName as string).toBe("peat-mesh-0");
    expect(warnings(given).join()).toContain("set PEAT_NODE_ID");
  });
});

describe("the node's name", () => {
  test("HOSTNAME has the cluster behind it, PEAT_NODE_ID is verbatim", () => {
    const environment = { PEAT_CLUSTER_NAME: "alpha" };
    expect(config({ environment }).nodeName as string).toBe("pod-3.alpha");
    const named = { environment: { ...environment, PEAT_NODE_ID: "gateway" } };
    expect(config(named).nodeName as string).toBe("gateway");
  });

  test("a HOSTNAME that is no node name is a problem named HOSTNAME", () => {
    const found = problems({ environment: { HOSTNAME: "a b" } });
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith("HOSTNAME: ");
  });
});

describe("sources", () => {
  test("a flag beats the environment, which beats the file, which beats the default", () => {
    const yaml = "brokerPort: 3";
    const environment = { PEAT_BROKER_PORT: "2" };
    const flags = { "broker-port": "1" };
    expect(config({ yaml, environment, flags }).brokerPort).toBe(1);
    expect(config({ yaml, environment }).brokerPort).toBe(2);
    expect(config({ yaml }).brokerPort).toBe(3);
    expect(origin("brokerPort", { yaml, environment, flags })).toBe("--broker-port");
    expect(origin("brokerPort", { yaml, environment })).toBe("PEAT_BROKER_PORT");
    expect(origin("brokerPort", { yaml })).toBe("c.yaml: brokerPort");
    expect(origin("brokerPort")).toBe("default");
  });

  test("a variable that is set but empty is not given, except RUST_LOG", () => {
    const environment = { PEAT_BROKER_PORT: "", PEAT_IROH_RELAY_URLS: " ", RUST_LOG: "" };
    const { brokerPort, irohRelayUrls, logFilter } = config({ environment });
    expect({ brokerPort, irohRelayUrls, logFilter }).toEqual({
      brokerPort: 8081,
      irohRelayUrls: [],
      logFilter: "",
    });
  });

  test("two names of one setting may agree but not differ", () => {
    const agree = { PEAT_DATA_DIR: "/a", PEAT_NODE_DATA_DIR: "/a" };
    expect(config({ environment: agree }).dataDir).toBe("/a");
    const differ = { PEAT_DATA_DIR: "/a", PEAT_NODE_DATA_DIR: "/b" };
    expect(problems({ environment: differ })).toEqual([
      "PEAT_DATA_DIR and PEAT_NODE_DATA_DIR mean the same and have different values; set only one",
    ]);
  });

  test("the older sidecar's names are understood where they mean the same", () => {
    const environment = {
      PEAT_NODE_NODE_ID: "edge-a",
      PEAT_NODE_SHARED_KEY: SECRET,
      PEAT_NODE_IROH_UDP_PORT: "7000",
    };
    const { nodeName, irohBindPort, formationSecret } = config({ environment });
    expect(nodeName as string).toBe("edge-a");
    expect(irohBindPort).toBe(7000);
    expect(formationSecret.expose()).toHaveLength(32);
  });

  test("all problems are told at once, each by the name that was used", () => {
    const found = problems({
      flags: { "iroh-bind-port": "x" },
      environment: { PEAT_BROKER_PORT: "70000", PEAT_LOG_FORMAT: "xml" },
      yaml: "compaction: {intervalSecs: 5}",
    });
    expect(found.map((text) => text.split(":")[0])).toEqual([
      "--iroh-bind-port",
      "PEAT_BROKER_PORT",
      "PEAT_LOG_FORMAT",
      "c.yaml",
    ]);
  });

  test("a port that Kubernetes put in for a Service is told as such", () => {
    const environment = { PEAT_BROKER_PORT: "tcp://10.96.0.7:8081" };
    expect(problems({ environment }).join()).toContain("enableServiceLinks: false");
  });
});

describe("secrets", () => {
  test("no secret is a problem that says how to make one", () => {
    const [problem] = load({}, null).problems;
    expect(problem?.text).toContain("PEAT_FORMATION_SECRET is required");
    expect(problem?.text).toContain("openssl rand -base64 32");
  });

  test("a secret is taken from a file, whose last newline does not count", () => {
    const environment = { PEAT_FORMATION_SECRET_FILE: "/s" };
    const loaded = load({ environment, files: { "/s": `${SECRET}\n` } }, null);
    expect(loaded.problems).toEqual([]);
    expect(loaded.values.formationSecret?.expose().toBase64()).toBe(SECRET);
  });

  test("a missing secret file is a problem of its setting", () => {
    const environment = { PEAT_FORMATION_SECRET_FILE: "/gone" };
    expect(load({ environment }, null).problems.map(({ text }) => text)).toEqual([
      'PEAT_FORMATION_SECRET_FILE: can\'t read "/gone": there is no such file',
    ]);
  });

  test("a secret and a file with another secret are a problem that shows neither", () => {
    const environment = { PEAT_FORMATION_SECRET_FILE: "/s" };
    const found = problems({ environment, files: { "/s": OTHER_SECRET } });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain("different values");
    expect(found[0]).not.toContain(OTHER_SECRET);
  });

  test("systemd's credential is used when nothing else gives the secret", () => {
    const environment = { CREDENTIALS_DIRECTORY: "/creds" };
    const files = { "/creds/peat-formation-secret": OTHER_SECRET };
    const alone = load({ environment, files }, null);
    expect(alone.values.formationSecret?.expose().toBase64()).toBe(OTHER_SECRET);
    const beside = load({ environment, files });
    expect(beside.values.formationSecret?.expose().toBase64()).toBe(SECRET);
  });

  test.each(["/etc/credstore", "/etc/peat-sidecar"])(
    "the host package finds one in %s",
    (folder) => {
      const files = { [`${folder}/peat-formation-secret`]: OTHER_SECRET };
      const host = load({ program: "peat-sidecar", files }, null);
      expect(host.values.formationSecret?.expose().toBase64()).toBe(OTHER_SECRET);
      expect(load({ program: "peat-mesh-node", files }, null).problems).toHaveLength(1);
    },
  );

  test("without one, a host is told what makes one", () => {
    const [problem] = load({ program: "peat-sidecar" }, null).problems;
    expect(problem?.text).toContain("run: peat-sidecar setup;");
  });

  test.each([
    ["lenient base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "not standard base64"],
    ["url-safe base64", "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_", "not standard base64"],
    ["15 bytes", "AAECAwQFBgcICQoLDA0O", "has 15 bytes"],
  ])("%s is refused and not shown", (_, text, told) => {
    const [problem] = load({}, text).problems;
    expect(problem?.text).toContain(told);
    expect(problem?.text).not.toContain(text);
  });

  test("blanks around a secret do not count, and a short one is doubted", () => {
    const loaded = load({}, "  AAECAwQFBgcICQoLDA0ODw==\n");
    expect(loaded.values.formationSecret?.expose()).toHaveLength(16);
    expect(loaded.warnings.map(({ text }) => text).join()).toContain("has only 16 bytes");
  });

  test("up to three further secrets are taken, a fourth is a problem", () => {
    const also = (count: number) => ({
      environment: { PEAT_FORMATION_SECRET_ALSO: Array(count).fill(OTHER_SECRET).join(",") },
    });
    expect(config(also(3)).formationSecretsAlso).toHaveLength(3);
    expect(problems(also(4)).join()).toContain("at most 3");
  });

  test("nothing that is loaded prints a secret", () => {
    const environment = { PEAT_API_TOKEN: "correct-horse-battery", PEAT_ENCRYPTION_KEY: SECRET };
    const loaded = load({ environment });
    const printed = `${JSON.stringify(loaded)}${inspect(loaded, { depth: 9 })}`;
    expect(printed).not.toContain(SECRET);
    expect(printed).not.toContain("correct-horse");
  });
});

describe("peers and listeners", () => {
  test("static peers add static to whatever discovery there is", () => {
    const environment = { PEAT_STATIC_PEERS: "hq@hq.example:11204" };
    expect(config({ environment }).discovery).toEqual(["kubernetes", "static"]);
    const both = { ...environment, PEAT_DISCOVERY: "static,mdns" };
    expect(config({ environment: both }).discovery).toEqual(["static", "mdns"]);
    expect(config({ environment }).staticPeers[0]?.hosts).toEqual([
      { host: "hq.example", port: 11204 },
    ]);
  });

  test("k8s is another word for kubernetes, and none is no discovery", () => {
    expect(config({ environment: { PEAT_DISCOVERY: "k8s" } }).discovery).toEqual(["kubernetes"]);
    expect(config({ environment: { PEAT_DISCOVERY: "none" } }).discovery).toEqual([]);
  });

  test("static without peers is doubted", () => {
    const environment = { PEAT_DISCOVERY: "static" };
    expect(warnings({ environment }).join()).toContain("PEAT_STATIC_PEERS is empty");
  });

  test("an RPC listener beyond loopback needs a token", () => {
    const listen = { PEAT_LISTEN: "tcp://0.0.0.0:50051" };
    expect(problems({ environment: listen }).join()).toContain("needs PEAT_API_TOKEN");
    const safe = { ...listen, PEAT_API_TOKEN: "correct-horse-battery" };
    expect(config({ environment: safe }).listen).toEqual([
      { kind: "tcp", host: "0.0.0.0", port: 50051 },
    ]);
    const loopback = { PEAT_LISTEN: "tcp://127.0.0.1:50051,unix:///run/p.sock" };
    expect(config({ environment: loopback }).listen).toHaveLength(2);
  });

  test("a broker beyond loopback without a token is told once", () => {
    expect(warnings().filter((text) => text.includes("PEAT_API_TOKEN"))).toHaveLength(1);
    const environment = { PEAT_API_TOKEN: "correct-horse-battery" };
    expect(warnings({ environment })).toEqual([]);
  });

  test("a certificate without its key is a problem, and so is a file that is not there", () => {
    const files = { "/c.pem": "c", "/k.pem": "k" };
    const half = { PEAT_TLS_CERT: "/c.pem" };
    expect(problems({ environment: half, files }).join()).toContain("without PEAT_TLS_KEY");
    const both = { ...half, PEAT_TLS_KEY: "/k.pem" };
    expect(config({ environment: both, files }).tlsKey).toBe("/k.pem");
    expect(problems({ environment: both }).join()).toContain("no such file");
  });
});
