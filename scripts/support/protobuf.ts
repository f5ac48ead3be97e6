// TypeScript from the .proto files, by buf and protoc-gen-es of this project's own node_modules.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "./project.ts";

/** Below each of these: `proto` with the .proto files, `gen` with what is generated from them. */
const FOLDERS = ["src/rpc", "test/support/conformance"];

const TEMPLATE = {
  version: "v2",
  plugins: [
    {
      local: join(projectDir, "node_modules", ".bin", "protoc-gen-es"),
      out: ".",
      opt: ["target=ts", "erasable_syntax=true", "import_extension=ts"],
    },
  ],
};

const generated = new Map<string, string>();

function generateAll(folder: string): void {
  const out = mkdtempSync(join(tmpdir(), "peat-protobuf-"));
  try {
    const buf = join(projectDir, "node_modules", ".bin", "buf");
    const run = Bun.spawnSync(
      [buf, "generate", `${folder}/proto`, "--template", JSON.stringify(TEMPLATE), "--output", out],
      { cwd: projectDir, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    if (!run.success) throw new Error(`buf generate failed:\n${run.stderr.toString()}`);
    for (const path of new Bun.Glob("**/*.ts").scanSync({ cwd: out })) {
      generated.set(join(folder, "gen", path), readFileSync(join(out, path), "utf8"));
    }
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Files below the project's root that come from the .proto files, without a run of the generator. */
export const PROTOBUF_PATHS: readonly string[] = FOLDERS.flatMap((folder) =>
  [...new Bun.Glob("**/*.proto").scanSync({ cwd: join(projectDir, folder, "proto") })].map((path) =>
    join(folder, "gen", path.replace(/\.proto$/, "_pb.ts")),
  ),
).sort((a, b) => (a < b ? -1 : 1));

/** The text of one of them. Throws what buf says of a .proto file that it can't read. */
export function renderProtobuf(path: string): string {
  const folder = FOLDERS.find((name) => path.startsWith(`${name}/`));
  if (folder !== undefined && !generated.has(path)) generateAll(folder);
  const text = generated.get(path);
  if (text === undefined) throw new Error(`buf generated no ${path}`);
  return text;
}
