// The compiled executable beside a remote agent, with encrypted documents: what is loaded late is in it.
import { beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { FakeAgent } from "../support/fake-agent.ts";
import { tempFolder } from "../support/temp-folder.ts";

beforeAll(async () => {
  await ensureHostExecutable();
}, 240_000);

test("what the agent says can be read from the node, and not from its disk", async () => {
  using folder = tempFolder();
  const path = folder.file("agent.sock");
  await using agent = await FakeAgent.start({ protocol: "h2", path });
  const env = {
    PEAT_AGENT_ADDR: `unix://${path}`,
    PEAT_AGENT_POLL_INTERVAL_SECS: "1",
    PEAT_ENCRYPTION_KEY: crypto.getRandomValues(new Uint8Array(32)).toBase64(),
  };
  await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1, env });
  const node = await formation.start(0);
  await node.ready();
  const api = `${node.api.url}/api/v1`;
  const read = async () => {
    const response = await fetch(`${api}/documents/packages/node-0:core:0.34.0-amd64`);
    return response.ok ? await response.text() : undefined;
  };
  const text = await waitFor("the package", 60_000, read);
  expect(text).toContain('"pull_status":"PULL_STATUS_DONE"');
  const { dataDir } = node;
  const files = readdirSync(join(dataDir, "automerge"));
  expect(files).toContain("peat.db");
  for (const file of files) {
    const bytes = readFileSync(join(dataDir, "automerge", file));
    expect(bytes.includes("PULL_STATUS_DONE")).toBe(false);
  }
  await agent[Symbol.asyncDispose]();
  const away = await waitFor("the check", 60_000, async () => {
    const ready = await (await fetch(`${api}/ready`)).text();
    return ready.includes("remote agent") ? ready : undefined;
  });
  expect(away).toContain('"ready":true');
}, 240_000);
