// The pictures in the docs are those that the dashboard would give now.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";
import {
  DIGEST_FILE,
  digestOfSources,
  FONTS,
  imagesDir,
  makePictures,
  PICTURES,
} from "../../scripts/screenshots.ts";
import { findChromium } from "../../scripts/support/browser.ts";

setDefaultTimeout(400_000);

const chromium = findChromium();
const missing =
  chromium === undefined
    ? "chromium is not installed"
    : existsSync(FONTS)
      ? ""
      : "fonts-dejavu-core is not installed";
/** Another build of Chromium draws the edges of letters a little differently. */
const DIFFERENT_MAX = 0.02;

const folder = mkdtempSync(join(tmpdir(), "peat-pictures-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function differing(one: string, other: string): number {
  const [a, b] = [one, other].map((path) => PNG.sync.read(readFileSync(path)));
  if (a === undefined || b === undefined || a.width !== b.width || a.height !== b.height) return 1;
  const pixels = pixelmatch(a.data, b.data, undefined, a.width, a.height, { threshold: 0.15 });
  return pixels / (a.width * a.height);
}

test("the pictures were made from the sources as they are: bun scripts/screenshots.ts makes them anew", async () => {
  const told = readFileSync(join(imagesDir, DIGEST_FILE), "utf8").trim();
  expect(told).toBe(await digestOfSources());
});

describe.skipIf(missing !== "")(`pictures${missing === "" ? "" : `: skipped, ${missing}`}`, () => {
  test("made now look like those in the docs", async () => {
    expect(await makePictures(chromium ?? "", folder)).toEqual([]);
    const differences = PICTURES.map((name) => {
      const share = differing(join(folder, name), join(imagesDir, name));
      console.log(`    ${name}: ${(share * 100).toFixed(2)} % of the pixels differ`);
      return share;
    });
    expect(Math.max(...differences)).toBeLessThan(DIFFERENT_MAX);
  });
});
