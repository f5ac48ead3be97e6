// Makes the pictures of the dashboard in docs/images from a made-up node (screenshots/world.ts), always the same.
//   bun scripts/screenshots.ts [folder]
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { bundlePage } from "../src/dashboard/bundle.ts";
import { startWorld, WORLD_MS, type World } from "./screenshots/world.ts";
import { findChromium, lookAt, openBrowser } from "./support/browser.ts";
import { projectDir } from "./support/project.ts";

/** File names of the pictures. */
export const PICTURES = [
  "dashboard-dark.png",
  "dashboard-light.png",
  "dashboard-document.png",
  "dashboard-narrow.png",
] as const;

/** Of the plots: ten minutes. */
const LOOKS = 600;

export const imagesDir = join(projectDir, "docs/images");

interface Shot {
  readonly width: number;
  readonly height: number;
  readonly scheme: "dark" | "light";
  readonly scale: number;
}

/** Counts what the page has asked and not read yet: its clock must not run before it has. */
const COUNT_REQUESTS = `
  window.asking = 0;
  const { fetch } = window;
  window.fetch = async (...args) => {
    window.asking += 1;
    const response = await fetch(...args);
    const read = response.text.bind(response);
    response.text = () => read().finally(() => { window.asking -= 1; });
    return response;
  };`;

async function open(browser: Browser, world: World, hash: string, shot: Shot) {
  const looked = await lookAt(browser, world.url, {
    viewport: { width: shot.width, height: shot.height },
    deviceScaleFactor: shot.scale,
    colorScheme: shot.scheme,
    reducedMotion: "reduce",
  });
  const { page } = looked;
  await page.clock.install({ time: WORLD_MS - 1000 });
  await page.clock.pauseAt(WORLD_MS);
  await page.addInitScript(COUNT_REQUESTS);
  await page.goto(`${world.url}/${hash}`);
  const rest = async () => {
    while (Number(await page.evaluate("asking")) > 0) await Bun.sleep(1);
  };
  /** So many looks of the page at its node, a second of its clock from each to the next. */
  const live = async (looks: number) => {
    for (let look = 0; look < looks; look += 1) {
      await rest();
      await page.clock.runFor(1000);
    }
    await rest();
  };
  return { ...looked, live };
}

async function picture(page: { screenshot: (o: object) => Promise<unknown> }, path: string) {
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
}

async function meshPictures(browser: Browser, folder: string): Promise<string[]> {
  using world = await startWorld();
  const shot: Shot = { width: 1440, height: 1080, scheme: "dark", scale: 1 };
  const { page, context, live, faults } = await open(browser, world, "#/", shot);
  await live(LOOKS);
  await picture(page, join(folder, "dashboard-dark.png"));
  await page.emulateMedia({ colorScheme: "light" });
  await picture(page, join(folder, "dashboard-light.png"));
  await context.close();
  return faults;
}

async function documentPicture(browser: Browser, folder: string): Promise<string[]> {
  using world = await startWorld();
  const shot: Shot = { width: 1440, height: 800, scheme: "dark", scale: 1 };
  const hash = "#/documents/orders/resupply-17";
  const { page, context, live, faults } = await open(browser, world, hash, shot);
  await live(2);
  await page.locator(".changes > li").first().waitFor();
  world.change();
  while ((await page.locator(".json .changed").count()) === 0) await live(1);
  await page.locator(".changes > li").nth(3).waitFor();
  await picture(page, join(folder, "dashboard-document.png"));
  await context.close();
  return faults;
}

async function narrowPicture(browser: Browser, folder: string): Promise<string[]> {
  using world = await startWorld();
  const shot: Shot = { width: 360, height: 760, scheme: "light", scale: 2 };
  const { page, context, live, faults } = await open(browser, world, "#/", shot);
  await live(20);
  await picture(page, join(folder, "dashboard-narrow.png"));
  await context.close();
  return faults;
}

/** Debian's fonts-dejavu-core: nothing else is seen, so that every machine writes with the same letters. */
export const FONTS = "/usr/share/fonts/truetype/dejavu";
const FONT_FILES = [
  "DejaVuSans.ttf",
  "DejaVuSans-Bold.ttf",
  "DejaVuSansMono.ttf",
  "DejaVuSansMono-Bold.ttf",
];

function fontConfig(cache: string): string {
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${FONTS}</dir><cachedir>${cache}</cachedir>
<selectfont><acceptfont>${FONT_FILES.map((name) => `<glob>*/${name}</glob>`).join("")}</acceptfont>
<rejectfont><glob>*</glob></rejectfont></selectfont>
</fontconfig>
`;
}

/** Of everything that the pictures follow from. */
export async function digestOfSources(): Promise<string> {
  const { html } = await bundlePage();
  const sources = ["scripts/screenshots.ts", "scripts/screenshots/world.ts"];
  const texts = await Promise.all(sources.map((path) => Bun.file(join(projectDir, path)).text()));
  return new Bun.CryptoHasher("sha256").update([html, ...texts].join("\n")).digest("hex");
}

/** The digest of the sources that the pictures beside it were made from. */
export const DIGEST_FILE = "dashboard.sha256";

/** Writes all pictures; what the pages did wrong meanwhile. */
export async function makePictures(chromium: string, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const fonts = await mkdtemp(join(tmpdir(), "peat-fonts-"));
  const file = join(fonts, "fonts.conf");
  await Bun.write(file, fontConfig(fonts));
  const browser = await openBrowser(chromium, { FONTCONFIG_FILE: file });
  try {
    return [
      ...(await meshPictures(browser, folder)),
      ...(await documentPicture(browser, folder)),
      ...(await narrowPicture(browser, folder)),
    ];
  } finally {
    await browser.close();
    await rm(fonts, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const chromium = findChromium();
  if (chromium === undefined) {
    console.error("chromium is not installed");
    process.exit(1);
  }
  const folder = process.argv[2] ?? imagesDir;
  const faults = await makePictures(chromium, folder);
  for (const fault of faults) console.error(fault);
  if (faults.length === 0)
    await Bun.write(join(folder, DIGEST_FILE), `${await digestOfSources()}\n`);
  for (const name of PICTURES) console.log(join(folder, name));
  process.exit(faults.length === 0 ? 0 : 1);
}
