// Six things that keep a document from being the same on two nodes, made with real ones in network namespaces: the
// commands name the one that is true, and none of the other five.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Host, Lab } from "../../scripts/network/lab.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { wiresMissing } from "../support/namespace.ts";
import { tempFolder } from "../support/temp-folder.ts";

const missing = wiresMissing();
const LIMIT_MS = 120_000;
/** The six, by what the commands call them. */
const SIX = ["unreachable", "other_identity", "deleted", "queued", "sync_stopped", "disk_full"];

interface Cause {
  readonly code: string;
  readonly peer?: string | null;
  readonly message: string;
  readonly remedy: string | null;
}

interface Explained {
  readonly exitCode: number;
  readonly verdict: string;
  readonly message: string;
  readonly causes: readonly Cause[];
}

let lab: Lab;
let here: Host;
let there: Host;
const disk = tempFolder();

/** A command as its user runs it on a host: with the settings of the node there. */
async function command(host: Host, ...args: readonly string[]) {
  const line = host.namespace.command([meshNodePath, ...args]);
  const child = Bun.spawn(line, { env: host.node.environment, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, out, err };
}

async function done(host: Host, ...args: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await command(host, ...args);
  expect([exitCode, err]).toEqual([0, ""]);
  return out;
}

async function put(host: Host, name: string, value: object): Promise<void> {
  await done(host, "put", name, JSON.stringify(value));
}

async function explain(name: string, host = here): Promise<Explained> {
  const { exitCode, out } = await command(host, "explain", name, "--json");
  return { exitCode, ...(JSON.parse(out) as Omit<Explained, "exitCode">) };
}

function named(causes: readonly { readonly code: string }[]): string[] {
  return [...new Set(causes.map(({ code }) => code).filter((code) => SIX.includes(code)))];
}

/** What of the six `doctor` finds wrong, and that a command for people says so too. */
async function diagnosed(host = here): Promise<string[]> {
  const { out } = await command(host, "doctor", "--json");
  const { findings } = JSON.parse(out) as { findings: (Cause & { severity: string })[] };
  return named(findings.filter(({ severity }) => severity !== "ok"));
}

/**
 * Waits until `explain` names this cause and no other of the six, in these words and also to people, and `doctor`
 * names it too: what each looks at moves between two looks.
 */
async function expectCause(
  code: string,
  {
    name,
    words,
    inDoctor = [code],
    host = here,
  }: { name: string; words: readonly string[]; inDoctor?: string[]; host?: Host },
): Promise<Explained> {
  let last: unknown;
  const look = async () => {
    const found = await explain(name, host);
    const { out } = await command(host, "explain", name);
    const doctor = await diagnosed(host);
    last = { found, out, doctor };
    const remedy = found.causes.find((one) => one.code === code)?.remedy ?? "";
    const [first = ""] = out.split("\n");
    const isTold = remedy !== "" && out.includes(remedy) && first.length > 20;
    const isNamed = named(found.causes).join() === code && doctor.join() === inDoctor.join();
    const hasWords = words.every((each) => found.message.includes(each));
    return isTold && isNamed && hasWords ? found : undefined;
  };
  return await waitFor(`explain and doctor to say ${code} alone`, LIMIT_MS, look).catch(
    (error: unknown) => {
      throw new Error(`${error}; they said ${JSON.stringify(last)}`);
    },
  );
}

/** All is well again: the same document everywhere, and nothing to complain of. */
async function expectWell(name: string): Promise<void> {
  const { exitCode, out, err } = await command(here, "explain", name, "--wait", "100", "--json");
  expect([exitCode, err]).toEqual([0, ""]);
  const { verdict, causes } = JSON.parse(out) as Explained;
  expect([verdict, named(causes)]).toEqual(["equal", []]);
  await waitFor("doctor to be content", LIMIT_MS, async () =>
    (await diagnosed()).length === 0 ? true : undefined,
  );
}

beforeAll(async () => {
  if (missing !== undefined) return;
  await ensureHostExecutable();
  lab = await Lab.open({ executable: meshNodePath, hosts: ["a", "b"], wired: ["b"] });
  here = lab.host("a");
  there = lab.host("b");
  await lab.startAll();
}, 240_000);

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  Bun.spawnSync(["umount", disk.path], { stderr: "ignore" });
  disk[Symbol.dispose]();
}, 60_000);

describe.skipIf(missing !== undefined)(`between two nodes (${missing ?? "root"})`, () => {
  test("what is the same is said to be, and what never was is not found", async () => {
    await put(here, "tracks/one", { n: 0 });
    await expectWell("tracks/one");
    const never = await explain("tracks/never");
    expect(never).toMatchObject({ exitCode: 66, verdict: "equal", causes: [] });
  }, 240_000);

  test("partition", async () => {
    lab.part(["b"]);
    await lab.parted(["b"]);
    await put(here, "tracks/one", { n: 1 });
    const told = await expectCause("unreachable", {
      name: "tracks/one",
      words: ["b does not answer at 10.77.0.2:11204"],
    });
    expect(told).toMatchObject({ exitCode: 1, verdict: "unknown" });
    lab.heal();
    await expectWell("tracks/one");
  }, 400_000);

  test("sync stopped there, and here", async () => {
    await done(there, "sync", "stop");
    await put(here, "tracks/one", { n: 2 });
    await expectCause("sync_stopped", { name: "tracks/one", words: ["sync is stopped on b"] });
    await done(there, "sync", "start");
    await expectWell("tracks/one");
    await done(here, "sync", "stop");
    const own = await expectCause("sync_stopped", { name: "tracks/one", words: [] });
    expect(own.causes.find(({ code }) => code === "sync_stopped")?.peer).toBeNull();
    await done(here, "sync", "start");
    await expectWell("tracks/one");
  }, 400_000);

  test("deleted elsewhere", async () => {
    await put(here, "tracks/gone", { n: 1 });
    await expectWell("tracks/gone");
    await done(there, "delete", "tracks/gone", "--reason", "landed");
    // It is no fault of a node.
    await expectCause("deleted", {
      name: "tracks/gone",
      words: ["deleted by b", "landed"],
      inDoctor: [],
    });
    await put(here, "tracks/gone", { n: 2 });
    await expectWell("tracks/gone");
  }, 400_000);

  test("a queue that a slow link does not empty", async () => {
    await there.degrade({ bytesPerSecond: 8_000 });
    await writeMany(4_000);
    await expectCause("queued", { name: "files/3999", words: ["b"] });
    await there.degrade({});
    await expectWell("files/3999");
  }, 600_000);

  test("another secret", async () => {
    await there.stop();
    const other = join(lab.folder, "other-secret");
    writeFileSync(other, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    await there.start({ PEAT_FORMATION_SECRET_FILE: other });
    await there.node.ready();
    await put(here, "tracks/one", { n: 3 });
    await expectCause("other_identity", {
      name: "tracks/one",
      words: ["is not b of this formation"],
    });
    await there.stop();
    await there.start();
    await expectWell("tracks/one");
  }, 400_000);

  test("a full disk there, and here", async () => {
    await there.stop();
    const mounted = Bun.spawnSync([
      "mount",
      "-t",
      "tmpfs",
      "-o",
      "size=3m,mode=700",
      "tmpfs",
      disk.path,
    ]);
    expect(mounted.exitCode).toBe(0);
    await there.start({ PEAT_DATA_DIR: disk.path });
    await there.node.ready();
    await lab.connected();
    fillDisk();
    // Whatever pages the database still had free are used up by these.
    for (let n = 0; n < 20; n += 1) await put(here, `notes/${n}`, { text: "x".repeat(60_000), n });
    await expectCause("disk_full", { name: "notes/19", words: ["the disk of b is full"] });
    const own = await expectCause("disk_full", { name: "notes/19", words: [], host: there });
    expect(own.causes.find(({ code }) => code === "disk_full")?.peer).toBeNull();
    rmSync(disk.file("ballast"));
    Bun.spawnSync(["mount", "-o", "remount,size=60m,mode=700", disk.path]);
    await expectWell("notes/19");
  }, 600_000);
});

/** Documents that don't compress, all written at once. */
async function writeMany(count: number): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        here.node.api.put("files", String(from + n), {
          noise: randomBytes(600).toString("base64"),
        }),
      ),
    );
  }
}

/** Until nothing fits any more. */
function fillDisk(): void {
  try {
    writeFileSync(disk.file("ballast"), Buffer.alloc(64 * 1024 * 1024));
  } catch {
    // It is full now, as it should be.
  }
}
