// Two nodes of the executable: one that is attacked, and a good peer of it; with what the system says of the first.
import { readFileSync, rmSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBase64 } from "../../src/base/bytes.ts";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import { type EndpointId, parseNodeName } from "../../src/identity/peer.ts";
import { cpuSeconds, residentMb } from "../bench/processes.ts";
import { atExit } from "../support/at-exit.ts";
import { NodeProcess } from "../support/node-process.ts";
import { freeTcpPort, freeUdpPort } from "../support/ports.ts";
import type { Target } from "./stranger.ts";

const NAMES = ["attacked", "friend"] as const;

export class Victim implements AsyncDisposable {
  readonly formation: Formation;
  readonly target: Target;
  readonly attacked: NodeProcess;
  readonly friend: NodeProcess;
  readonly #folder: string;
  readonly #forgetFolder: () => void;

  private constructor(parts: {
    formation: Formation;
    target: Target;
    attacked: NodeProcess;
    friend: NodeProcess;
    folder: string;
    forgetFolder: () => void;
  }) {
    this.formation = parts.formation;
    this.target = parts.target;
    this.attacked = parts.attacked;
    this.friend = parts.friend;
    this.#folder = parts.folder;
    this.#forgetFolder = parts.forgetFolder;
  }

  /** Both are started, ready and connected. */
  static async start(executable: string): Promise<Victim> {
    const folder = await mkdtemp(join(tmpdir(), "peat-hostile-"));
    const forgetFolder = atExit(() => rmSync(folder, { recursive: true, force: true }));
    const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64();
    const secretFile = join(folder, "formation-secret");
    await writeFile(secretFile, `${secret}\n`, { mode: 0o600 });
    const formation = new Formation([new Secret(fromBase64(secret))]);
    const irohPorts = [await freeUdpPort(), await freeUdpPort()] as const;
    const start = async (index: 0 | 1) => {
      const name = NAMES[index];
      const other = index === 0 ? 1 : 0;
      return NodeProcess.start({
        executable: await logging(executable, { folder, name }),
        name,
        secretFile,
        dataDir: join(folder, name),
        brokerPort: await freeTcpPort(),
        irohPort: irohPorts[index],
        peers: [`${NAMES[other]}@127.0.0.1:${irohPorts[other]}`],
        logFilter: "info",
        // What an attack leaves scattered grows with threads and their heaps, which are as many as processors.
        env: { TOKIO_WORKER_THREADS: "2", MALLOC_ARENA_MAX: "2" },
      });
    };
    const [attacked, friend] = [await start(0), await start(1)];
    await Promise.all([attacked.ready(), friend.ready()]);
    await attacked.connected(1);
    const target = { id: idOf(formation, NAMES[0]), address: `127.0.0.1:${irohPorts[0]}` };
    return new Victim({ formation, target, attacked, friend, folder, forgetFolder });
  }

  /** Lines that the attacked node has written so far. */
  logLines(): string[] {
    return readFileSync(logPath(this.#folder, NAMES[0]), "utf8").split("\n").slice(0, -1);
  }

  /** MB of 10^6 bytes. */
  residentMb(): number {
    return residentMb(this.attacked.pid);
  }

  cpuSeconds(): number {
    return cpuSeconds(this.attacked.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.attacked.stop(), this.friend.stop()]);
    await rm(this.#folder, { recursive: true, force: true });
    this.#forgetFolder();
  }
}

function idOf(formation: Formation, name: string): EndpointId {
  const id = formation.endpointIds(parseNodeName(name))[0]?.id;
  if (id === undefined) throw new Error(`${name} has no id`);
  return id;
}

function logPath(folder: string, name: string): string {
  return join(folder, `${name}.log`);
}

/** The executable with its log in a file; `exec` keeps the process id, so that its memory can be read. */
async function logging(
  executable: string,
  { folder, name }: { folder: string; name: string },
): Promise<string> {
  const path = join(folder, `start-${name}`);
  await writeFile(path, `#!/bin/sh\nexec '${executable}' >'${logPath(folder, name)}' 2>&1\n`);
  await chmod(path, 0o755);
  return path;
}
