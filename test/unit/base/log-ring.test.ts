import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { getLog, openLog, parseLogFilter } from "../../../src/base/log.ts";
import {
  LOG_LEVELS,
  type LogLevelName,
  type LogPage,
  LogRing,
} from "../../../src/base/log-ring.ts";
import { Secret } from "../../../src/base/secret.ts";

const FIRST = 1000;

function line(message: string, level: LogLevelName = "info") {
  return { atMs: 5, level, target: "t", message, fields: {} };
}

function ringOf(count: number, bytesMax = 1024 ** 2): LogRing {
  const ring = new LogRing(bytesMax, FIRST);
  for (let n = 0; n < count; n += 1) ring.add(line(`line ${n}`));
  return ring;
}

function messages({ lines }: LogPage): string[] {
  return lines.map((text) => JSON.parse(text).message);
}

const ALL = { limit: 1000, level: "trace" } as const;

describe("the newest lines", () => {
  test("come in their order, each with its number", () => {
    const { lines, next, dropped } = ringOf(2).read(ALL);
    expect(lines.map((text) => JSON.parse(text))).toEqual([
      { n: 1000, at_ms: 5, level: "info", target: "t", message: "line 0", fields: {} },
      { n: 1001, at_ms: 5, level: "info", target: "t", message: "line 1", fields: {} },
    ]);
    expect({ next, dropped }).toEqual({ next: 1001, dropped: 0 });
  });

  test("of a ring without any are none, and whoever asks after that hears the first one", () => {
    const ring = ringOf(0);
    const { lines, next } = ring.read(ALL);
    expect(lines).toEqual([]);
    ring.add(line("first"));
    expect(messages(ring.read({ ...ALL, after: next }))).toEqual(["first"]);
  });

  test("are the last ones where they are more than asked for", () => {
    const page = ringOf(10).read({ ...ALL, limit: 2 });
    expect(messages(page)).toEqual(["line 8", "line 9"]);
    expect(page.next).toBe(FIRST + 9);
  });

  test("behind a number come oldest first, page by page", () => {
    const ring = ringOf(5);
    const first = ring.read({ ...ALL, after: FIRST, limit: 2 });
    expect(messages(first)).toEqual(["line 1", "line 2"]);
    expect(first.next).toBe(FIRST + 2);
    expect(messages(ring.read({ ...ALL, after: first.next, limit: 2 }))).toEqual([
      "line 3",
      "line 4",
    ]);
  });

  test("of a level leave out what is less grave, and its numbers are passed all the same", () => {
    const ring = ringOf(0);
    for (const level of LOG_LEVELS) ring.add(line(level, level));
    const page = ring.read({ limit: 10, level: "warn", after: FIRST - 1 });
    expect(messages(page)).toEqual(["error", "warn"]);
    expect(page.next).toBe(FIRST + LOG_LEVELS.length - 1);
  });

  test("are told whole to who comes with a number of an earlier process, or of none at all", () => {
    const ring = ringOf(3);
    expect(ring.read({ ...ALL, after: 7 })).toMatchObject({ dropped: 0, next: FIRST + 2 });
    expect(messages(ring.read({ ...ALL, after: 7 }))).toHaveLength(3);
    expect(messages(ring.read({ ...ALL, after: FIRST + 99 }))).toHaveLength(3);
  });
});

describe("a bounded ring", () => {
  test("never holds more bytes, drops the oldest, and counts for each reader what it missed", () => {
    const anyLines = fc.array(fc.string({ maxLength: 200 }), { maxLength: 60 });
    fc.assert(
      fc.property(anyLines, fc.integer({ min: 200, max: 3000 }), (texts, bytesMax) => {
        const ring = new LogRing(bytesMax, FIRST);
        for (const text of texts) {
          ring.add(line(text));
          expect(ring.bytes).toBeLessThanOrEqual(bytesMax);
        }
        const { lines, dropped } = ring.read(ALL);
        expect(lines.length + dropped).toBe(texts.length);
        const kept = lines.map((text) => JSON.parse(text).message);
        expect(kept).toEqual(texts.slice(texts.length - lines.length));
        const behind = ring.read({ ...ALL, after: FIRST });
        expect(behind.dropped).toBe(Math.max(0, dropped - 1));
      }),
      { numRuns: 60 },
    );
  });
});

describe("what is kept of a line", () => {
  test("is what was printed: by the filter, without the word below ERROR, secrets never", () => {
    const ring = ringOf(0);
    const printed: string[] = [];
    openLog({
      filter: parseLogFilter("info"),
      format: "text",
      colour: true,
      write: (text) => printed.push(text),
      keep: (kept) => ring.add(kept),
    });
    const log = getLog("peat_mesh::x");
    log.debug("not printed");
    log.info("Commit refused", { cause: "disk I/O Error", tries: 2, hosts: ["a"] });
    log.info("Token", { token: String(new Secret("hush-hush")) });
    openLog({
      filter: parseLogFilter("off"),
      format: "text",
      colour: false,
      write: () => undefined,
    });
    const { lines } = ring.read(ALL);
    expect(lines).toHaveLength(printed.length);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      level: "info",
      target: "peat_mesh::x",
      message: "Commit refused",
      fields: { cause: "disk I/O fault", tries: 2, hosts: ["a"] },
    });
    expect(lines.join()).not.toContain("hush");
    expect(lines.join()).not.toContain("\\u001b");
  });
});
