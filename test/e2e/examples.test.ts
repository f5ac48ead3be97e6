// What the pages show is run as it stands there, against a real node, and prints what they say.
import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureHostExecutable, executablePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { grpcurl } from "../../scripts/support/go-program.ts";
import { freeTcpPort } from "../../scripts/support/ports.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { findPythonGrpc } from "../../scripts/support/python-grpc.ts";
import { testCacheFolder } from "../../scripts/support/test-cache.ts";
import { examplesOf, isPrinted, runExamples } from "../support/examples.ts";
import { tempFolder } from "../support/temp-folder.ts";

const MINUTES = 60_000;

const python = await findPythonGrpc();
const grpc = await grpcurl.find();
const needed = (program: string) =>
  Bun.which(program) === null ? `needs the program ${program}` : undefined;
const missing =
  ("missing" in python ? python.missing : undefined) ??
  ("missing" in grpc ? grpc.missing : undefined) ??
  needed("curl") ??
  needed("go") ??
  needed("openssl");

/** A node as the packages start it, and what a page's places are on it. */
async function startNode(folder: string) {
  await ensureHostExecutable();
  const [socket, port, maps] = [
    join(folder, "rpc.sock"),
    await freeTcpPort(),
    join(folder, "maps"),
  ];
  mkdirSync(maps);
  writeFileSync(join(maps, "north.mbtiles"), "a map");
  const formation = await Formation.prepare({
    executable: executablePath,
    nodes: 1,
    env: {
      PEAT_LISTEN: `unix://${socket},tcp://127.0.0.1:${port}`,
      PEAT_ATTACHMENT_ROOT: `maps=${maps}`,
    },
  });
  const node = await formation.start(0);
  await node.ready();
  const places = {
    "127.0.0.1:8081": new URL(node.api.url).host,
    "127.0.0.1:50051": `127.0.0.1:${port}`,
    "/run/peat-sidecar/control.sock": join(node.dataDir, "control.sock"),
    "/run/peat-sidecar/token": join(node.dataDir, "token"),
    "/var/run/peat-sidecar.sock": socket,
    "/srv/maps": maps,
  };
  return { formation, places, runtimeDir: node.dataDir };
}

/** Nothing of the caller's own settings: only where programs are, and places for what they keep. */
function environmentOf(folder: string, runtimeDir: string): Record<string, string> {
  const found = [python, grpc].map((program) => ("path" in program ? dirname(program.path) : ""));
  return {
    PATH: [...found, dirname(executablePath), dirname(process.execPath), Bun.env["PATH"]].join(":"),
    // Where commands find the node.
    PEAT_RUNTIME_DIR: runtimeDir,
    HOME: folder,
    GOCACHE: testCacheFolder("go-examples"),
    GOPROXY: "off",
    GO111MODULE: "off",
  };
}

test.skipIf(missing !== undefined).each(["docs/api.md", "docs/rpc.md", "docs/queries.md"])(
  `%s does what it says (${missing ?? "curl, bun, python, go, grpcurl"})`,
  async (page) => {
    using folder = tempFolder();
    const { formation, places, runtimeDir } = await startNode(folder.path);
    await using _ = formation;
    copyFileSync(join(projectDir, "src/client/client.ts"), folder.file("client.ts"));
    symlinkSync(join(projectDir, "src"), folder.file("src"));
    const examples = examplesOf(await Bun.file(join(projectDir, page)).text());
    expect(examples.length).toBeGreaterThan(0);
    const outcomes = await runExamples(examples, {
      folder: folder.path,
      places,
      environment: environmentOf(folder.path, runtimeDir),
      timeoutMs: 12 * MINUTES,
    });
    for (const { example, code, said } of outcomes) {
      const { block, printed } = example;
      const place = `${page}:${block.line}`;
      if (printed === undefined) expect({ place, said, code }).toEqual({ place, said, code: 0 });
      else if (!isPrinted(printed, said)) expect({ place, said }).toEqual({ place, said: printed });
    }
  },
  13 * MINUTES,
);
