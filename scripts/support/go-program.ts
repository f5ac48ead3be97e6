// Programs of the Go module proxy, each built once per machine and kept in the user's cache.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { testCacheFolder } from "./test-cache.ts";

const BUILD_LIMIT_S = 15 * 60;

class GoProgram {
  readonly #name: string;
  readonly #version: string;
  readonly #package: string;

  /** `package`: import path of the program's main package; `version` without its v. */
  constructor(options: { name: string; version: string; package: string }) {
    this.#name = options.name;
    this.#version = options.version;
    this.#package = options.package;
  }

  get #folder(): string {
    return testCacheFolder(`${this.#name}-${this.#version}`);
  }

  /** The program's path, or why there is none. */
  async find(): Promise<{ path: string } | { missing: string }> {
    const path = join(this.#folder, this.#name);
    if (await Bun.file(path).exists()) return { path };
    return {
      missing: `needs ${this.#name} ${this.#version}; make it with: bun scripts/${this.#name}.ts`,
    };
  }

  /** Builds it unless it is there; a second process that wants it waits for the first. Throws what go said. */
  async ensure(): Promise<string> {
    const found = await this.find();
    if ("path" in found) return found.path;
    if (Bun.which("go") === null) throw new Error(`${found.missing} (needs Go)`);
    const folder = this.#folder;
    await mkdir(folder, { recursive: true });
    const install = `test -x ${this.#name} || go install ${this.#package}@v${this.#version}`;
    const build = Bun.spawn(
      ["flock", "lock", "timeout", String(BUILD_LIMIT_S), "sh", "-c", install],
      {
        cwd: folder,
        env: { ...Bun.env, GOBIN: folder, CGO_ENABLED: "0" },
        stdin: "ignore",
        stdout: "inherit",
        stderr: "pipe",
      },
    );
    const told = await new Response(build.stderr).text();
    if ((await build.exited) !== 0) {
      throw new Error(`${this.#name} was not built:\n${told.split("\n").slice(-15).join("\n")}`);
    }
    return join(folder, this.#name);
  }
}

/** Makes the deb and the rpm. Later versions need modules that the proxy does not serve. */
export const nfpm = new GoProgram({
  name: "nfpm",
  version: "2.45.0",
  package: "github.com/goreleaser/nfpm/v2/cmd/nfpm",
});

/** A gRPC client of its own school, for tests. */
export const grpcurl = new GoProgram({
  name: "grpcurl",
  version: "1.9.4",
  package: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
});

/** What the makers of Connect test servers with. */
export const connectconformance = new GoProgram({
  name: "connectconformance",
  version: "1.0.7",
  package: "connectrpc.com/conformance/cmd/connectconformance",
});

/** Judges the workflows of the public pipeline. */
export const actionlint = new GoProgram({
  name: "actionlint",
  version: "1.7.12",
  package: "github.com/rhysd/actionlint/cmd/actionlint",
});
