// TypeScript from the .proto files, by buf and protoc-gen-es of this project's own node_modules.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "./project.ts";

const PROTO_DIR = "src/rpc/proto";
const GENERATED_DIR = "src/rpc/gen";

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

let generated: ReadonlyMap<string, string> | undefined;

function generateAll(): ReadonlyMap<string, string> {
  const folder = mkdtempSync(join(tmpdir(), "peat-protobuf-"));
  try {
    const buf = join(projectDir, "node_modules", ".bin", "buf");
    const run = Bun.spawnSync(
      [buf, "generate", PROTO_DIR, "--template", JSON.stringify(TEMPLATE), "--output", folder],
      { cwd: projectDir, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    if (!run.success) throw new Error(`buf generate failed:\n${run.stderr.toString()}`);
    const paths = [...new Bun.Glob("**/*.ts").scanSync({ cwd: folder })];
    return new Map(paths.map((path) => [path, readFileSync(join(folder, path), "utf8")]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Files below the project's root that come from the .proto files, without a run of the generator. */
export const PROTOBUF_PATHS: readonly string[] = [
  ...new Bun.Glob("**/*.proto").scanSync({ cwd: join(projectDir, PROTO_DIR) }),
]
  .map((path) => join(GENERATED_DIR, path.replace(/\.proto$/, "_pb.ts")))
  .sort((a, b) => (a < b ? -1 : 1));

/** The text of one of them. Throws what buf says of a .proto file that it can't read. */
export function renderProtobuf(path: string): string {
  generated ??= generateAll();
  const text = generated.get(path.slice(GENERATED_DIR.length + 1));
  if (text === undefined) throw new Error(`buf generated no ${path}`);
  return text;
}
