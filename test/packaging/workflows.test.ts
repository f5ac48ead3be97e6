// The workflows of the public pipeline: well formed, calling what is there, and nothing that can be moved under them.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { actionlint } from "../../scripts/support/go-program.ts";
import { projectDir, readPackageJson } from "../../scripts/support/project.ts";

const folder = join(projectDir, ".github/workflows");
const names = readdirSync(folder);
const texts = names.map((name) => readFileSync(join(folder, name), "utf8"));
const program = await actionlint.find();
const missing = "missing" in program ? program.missing : undefined;

describe("the workflows", () => {
  test.skipIf(missing !== undefined)(`satisfy actionlint (${missing ?? "actionlint"})`, () => {
    if (!("path" in program)) throw new Error(program.missing);
    const files = names.map((name) => join(folder, name));
    const done = Bun.spawnSync([program.path, "-no-color", ...files], { cwd: projectDir });
    expect(`${done.stdout}${done.stderr}`).toBe("");
    expect(done.exitCode).toBe(0);
  });

  test("are there to be judged, and use actions by their commits only", () => {
    expect(names.length).toBeGreaterThanOrEqual(2);
    const used = texts.flatMap((text) => [...text.matchAll(/uses: (\S+).*/g)]);
    expect(used.length).toBeGreaterThan(5);
    for (const [line, action = ""] of used) {
      if (action.startsWith("./")) expect(existsSync(join(projectDir, action))).toBe(true);
      else expect(line).toMatch(/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    }
  });

  test("call scripts that exist, and may do no more than they must", async () => {
    const { scripts } = (await readPackageJson()) as unknown as { scripts: Record<string, string> };
    for (const [index, text] of texts.entries()) {
      for (const [, name = ""] of text.matchAll(/bun run (\w+)/g))
        expect(Object.keys(scripts)).toContain(name);
      for (const [, path = ""] of text.matchAll(/((?:scripts|deploy|\.ci)\/[\w./-]+)/g)) {
        expect([path, existsSync(join(projectDir, path))]).toEqual([path, true]);
      }
      expect([names[index], text]).toEqual([
        names[index],
        expect.stringMatching(/^permissions:\n {2}contents: read$/m),
      ]);
    }
  });
});
