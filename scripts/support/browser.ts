// A real browser for what must be seen in one: Debian's Chromium, driven by Playwright, with everything noted that a
// page must not do.
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Undefined where none is installed. */
export function findChromium(): string | undefined {
  return Bun.which("chromium") ?? Bun.which("chromium-browser") ?? undefined;
}

export async function openBrowser(
  path: string,
  env: Record<string, string> = {},
): Promise<Browser> {
  return await chromium.launch({
    executablePath: path,
    // Its sandbox needs rights that containers and root don't have; the pages are ours.
    args: ["--no-sandbox", "--force-color-profile=srgb", "--font-render-hinting=none"],
    env: { ...Bun.env, ...env },
  });
}

export interface Looked {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Whatever a good page does not do: errors, warnings, violations of its policy, requests to anybody else. */
  readonly faults: string[];
}

type ContextOptions = Parameters<Browser["newContext"]>[0];

/** A new page of its own context, which may ask `origin` only. */
export async function lookAt(
  browser: Browser,
  origin: string,
  options: ContextOptions = {},
): Promise<Looked> {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(`thrown: ${error.message}`));
  page.on("websocket", (socket) => {
    if (!socket.url().startsWith(`${origin.replace("http", "ws")}/`)) faults.push(socket.url());
  });
  await context.route("**/*", async (route) => {
    const url = route.request().url();
    if (url.startsWith(`${origin}/`) || url.startsWith("data:")) await route.continue();
    else {
      faults.push(`foreign request: ${url}`);
      await route.abort();
    }
  });
  return { page, context, faults };
}
