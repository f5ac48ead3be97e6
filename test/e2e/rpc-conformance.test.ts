// connectconformance, the test of the protocols' makers, against this program's listeners: every protocol, encoding and
// compression, over HTTP/1.1 and HTTP/2, with TLS and without.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { connectconformance } from "../../scripts/support/go-program.ts";
import { projectDir } from "../../scripts/support/project.ts";

/** Half a minute on two quiet cores. */
const LIMIT_MS = 8 * 60_000;
/** As many as it has for these features; fewer would mean that some were not asked for. */
const CASES_MIN = 5_000;

const found = await connectconformance.find();
const program = "path" in found ? found.path : "";
const without = "missing" in found ? ` (${found.missing})` : "";
const folder = join(projectDir, "test", "support", "conformance");

/** `knownFailing`: a pattern, or `@` and the path of a file of them; one only. */
async function run(
  knownFailing: string,
  ...options: readonly string[]
): Promise<{ code: number; text: string }> {
  const child = Bun.spawn(
    [
      ...[program, "--mode", "server", "--conf", join(folder, "features.yaml"), "-v"],
      ...["--known-failing", knownFailing, "--max-servers", "2"],
      ...[...options, "--", process.execPath, join(folder, "server-main.ts")],
    ],
    { cwd: projectDir, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: LIMIT_MS },
  );
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, text: out + err };
}

describe.skipIf(program === "")(`connectconformance${without}`, () => {
  test(
    "finds nothing wrong with the listeners, but for what is listed with its reason",
    async () => {
      const { code, text } = await run(`@${join(folder, "known-failing.txt")}`);
      const lines = text.split("\n");
      // Each with what was wrong, in the indented lines below it.
      const failed = text.match(/^FAILED.*(?:\n\t.*)*/gm) ?? [];
      expect(failed).toEqual([]);
      expect({ code, end: code === 0 ? "" : lines.slice(-30).join("\n") }).toEqual({
        code: 0,
        end: "",
      });
      const [total, passed] = [/Total cases: (\d+)/, /(\d+) passed/].map((pattern) =>
        Number(pattern.exec(text)?.[1]),
      );
      console.log(`${passed} of ${total} cases passed`);
      expect(total).toBeGreaterThan(CASES_MIN);
    },
    LIMIT_MS,
  );

  test(
    "would find a listener that answers otherwise",
    async () => {
      // A case that passes, named as one that fails.
      const pattern = "Basic/HTTPVersion:2/Protocol:PROTOCOL_GRPC/**/TLS:false/unary/success";
      const { code, text } = await run(pattern, "--run", pattern);
      expect(code).not.toBe(0);
      expect(text).toContain("FAILED");
    },
    LIMIT_MS,
  );
});
