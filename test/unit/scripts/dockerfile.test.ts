// What the Dockerfile says of the program must be what the rest of the project says.
import { describe, expect, test } from "bun:test";
import { lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { ADDON_PATH } from "../../../scripts/support/executable.ts";
import { projectDir, readPackageJson } from "../../../scripts/support/project.ts";
import { config } from "../../support/load-settings.ts";

const dockerfile = await Bun.file(join(projectDir, "Dockerfile")).text();
const ignored = await Bun.file(join(projectDir, ".dockerignore")).text();

describe("the Dockerfile", () => {
  test("has the version of the package, and compiles with the Bun of the project", async () => {
    expect(dockerfile).toContain(`\nARG VERSION=${(await readPackageJson()).version}\n`);
    expect(dockerfile).toContain(`/oven/bun:${Bun.version}-slim\n`);
  });

  test("is a file where the guide builds it: Docker's builder can't follow a link out of that folder", () => {
    expect(lstatSync(join(projectDir, "deploy/Dockerfile")).isFile()).toBe(true);
    expect(readlinkSync(join(projectDir, "Dockerfile"))).toBe("deploy/Dockerfile");
  });

  test("points to the addon where the layout puts it", () => {
    expect(dockerfile).toContain(`\nENV NAPI_RS_NATIVE_LIBRARY_PATH=${ADDON_PATH}\n`);
  });

  test("exposes the ports and makes the folder that are the defaults of peat-mesh-node", () => {
    const { brokerPort, irohBindPort, dataDir } = config({ program: "peat-mesh-node" });
    expect(dockerfile).toContain(`\nEXPOSE ${brokerPort}/tcp ${irohBindPort}/udp\n`);
    expect(dockerfile).toContain(`\nVOLUME ${dataDir}\n`);
  });

  test("starts from images that are arguments, each, or from stages of its own", () => {
    const from = [...dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+) AS (\S+)$/gm)];
    expect(from.length).toBe(dockerfile.match(/^FROM/gm)?.length ?? 0);
    const stages = new Set(["scratch"]);
    for (const [, image = "", stage = ""] of from) {
      expect(image.startsWith("${") || stages.has(image)).toBe(true);
      stages.add(stage);
    }
  });

  test("calls no shell in the image", () => {
    for (const [, command = ""] of dockerfile.matchAll(/^ *(?:CMD|ENTRYPOINT) (.*)$/gm)) {
      expect(JSON.parse(command)).toContain("/usr/bin/peat-mesh-node");
    }
  });
});

test("the build sees nothing but what it is given by name", () => {
  const rules = ignored.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(rules[0]).toBe("*");
  expect(rules.slice(1).every((rule) => /^![a-zA-Z./-]+$/.test(rule))).toBe(true);
});
