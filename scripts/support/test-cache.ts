// What tests need and what takes minutes to make is made once per machine and kept in the user's cache.
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder of one such thing; its name has the version in it. */
export function testCacheFolder(name: string): string {
  const base = Bun.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(base, "peat-sidecar-tests", name);
}

/** Held until it is disposed of, or this process ends: the holder's standard input closes with it. */
export async function lock(path: string): Promise<AsyncDisposable> {
  const command = ["flock", path, "sh", "-c", "echo held; cat"];
  const holder = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const { done } = await holder.stdout.getReader().read();
  if (done) throw new Error(`flock ${path} failed`);
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await holder.exited;
    },
  };
}
