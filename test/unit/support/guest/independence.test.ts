// The emulator would prove nothing if it shared the code that it is the counterpart of.
import { expect, test } from "bun:test";
import { join, normalize, resolve } from "node:path";
import { importsOf } from "../../../support/tidy-rules.ts";

const folder = "test/support/guest";
const projectDir = resolve(import.meta.dirname, "../../../..");
const modules = ["@automerge/automerge", "@noble/", "@number0/iroh", "node:"];

/** What a file imports from outside its own folder, packages apart that it may know. */
async function strangeImports(file: string): Promise<string[]> {
  const text = await Bun.file(join(projectDir, folder, file)).text();
  return importsOf(text)
    .map((module) => (module.startsWith(".") ? normalize(join(folder, module)) : module))
    .filter((module) => !module.startsWith(`${folder}/`))
    .filter((module) => !modules.some((known) => module.startsWith(known)));
}

test("the guest emulator imports nothing of the program, but the ports of its simulated network", async () => {
  const files = [...new Bun.Glob("*.ts").scanSync({ cwd: join(projectDir, folder) })];
  expect(files.length).toBeGreaterThan(10);
  const found = await Promise.all(
    files.map(async (file) => ({ file, strange: await strangeImports(file) })),
  );
  expect(Object.fromEntries(found.map(({ file, strange }) => [file, strange]))).toEqual({
    ...Object.fromEntries(files.map((file) => [file, []])),
    "over-memory.ts": ["src/net/link.ts", "test/support/memory-network.ts"],
    // The simulated world around it: its random, its network, its clock.
    "guest-world.ts": [
      "scripts/model/random.ts",
      "test/support/memory-network.ts",
      "test/support/virtual-clock.ts",
    ],
  });
});
