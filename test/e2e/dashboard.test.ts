// The dashboard in a real browser, over three real nodes: what an operator sees, does by keys, and must not suffer.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { findChromium, type Looked, lookAt, openBrowser } from "../../scripts/support/browser.ts";
import { findAddon, hostTarget } from "../../scripts/support/build-targets.ts";
import { ensureExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { waitFor } from "../../scripts/support/waiting.ts";

const LIMIT_MS = 60_000;
setDefaultTimeout(240_000);

const chromium = findChromium();
const addon = await findAddon(hostTarget());
const missing =
  chromium === undefined ? "chromium is not installed" : typeof addon === "string" ? addon : "";
const name = missing === "" ? "the dashboard" : `the dashboard: skipped, ${missing}`;

let browser: Browser;
let formation: Formation;

beforeAll(async () => {
  if (missing !== "" || chromium === undefined || typeof addon === "string") return;
  await ensureExecutable(addon);
  browser = await openBrowser(chromium);
  formation = await Formation.prepare({ executable: meshNodePath, nodes: 3 });
  await formation.startAll();
});
afterAll(async () => {
  await browser?.close();
  await formation?.[Symbol.asyncDispose]();
});

const urlOf = (index: number) => formation.node(index).api.url;

async function look(
  hash = "#/",
  options: { url?: string; width?: number; scheme?: "dark" | "light" } = {},
): Promise<Looked & AsyncDisposable> {
  const { url = urlOf(0), width = 1440, scheme = "dark" } = options;
  const viewport = { width, height: 900 };
  const looked = await lookAt(browser, url, { viewport, colorScheme: scheme });
  looked.page.setDefaultTimeout(LIMIT_MS);
  await looked.page.goto(`${url}/${hash}`);
  return { ...looked, [Symbol.asyncDispose]: () => looked.context.close() };
}

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).allInnerTexts()).join("\n");
}

function until(what: string, ask: () => Promise<boolean>): Promise<true> {
  return waitFor(what, LIMIT_MS, async () => ((await ask()) ? true : undefined), 100);
}

describe.skipIf(missing !== "")(name, () => {
  test("shows the mesh as it is: a line to each peer, and the peers' own between them", async () => {
    await using seen = await look();
    const { page } = seen;
    await page.locator(".picture g.edge.direct").nth(1).waitFor();
    await page.locator(".picture g.chord").first().waitFor({ state: "attached" });
    const rows = await textOf(page, ".peers tbody tr");
    expect(rows).toContain("node-1");
    expect(rows).toContain("node-2");
    expect(await page.locator(".picture").getAttribute("aria-label")).toContain(
      "node-0 is connected to 2 of 2 peers",
    );
    await until("plots to move", async () => {
      const path = await page.locator(".plot path.line-0").first().getAttribute("d");
      return (path ?? "").includes("L");
    });
    expect(seen.faults).toEqual([]);
  });

  test("shows what is written elsewhere as it comes, what changed in it, and how it came to be", async () => {
    await using seen = await look("#/documents/orders/o1");
    const { page } = seen;
    // Chromium tells of every 404 on its console: here that is the answer that was asked for.
    await page.locator(".document p.note").first().waitFor();
    await formation.node(1).api.put("orders", "o1", { state: "new", lines: [1, 2] });
    // The document's own: the list beside it may show it before.
    await page.locator(".json").getByText('"new"').first().waitFor();
    const { api } = formation.node(2);
    // Without it that node would make a document of its own, of which only one state wins.
    await until("the other node to have it", async () => !!(await api.get("orders", "o1")));
    await api.put("orders", "o1", { state: "sent", lines: [1, 2] });
    const marked = page.locator(".json .changed");
    await marked.first().waitFor();
    expect(await marked.allInnerTexts()).toEqual(['"state": "sent"']);
    await page.locator(".changes > li").nth(1).waitFor();
    const newest = await page.locator(".changes > li").first().innerText();
    expect(newest).toContain("node-2");
    expect(newest).toContain('"new" → "sent"');
    await page.locator(".list .links a").filter({ hasText: "o1" }).waitFor();
    expect(seen.faults.filter((fault) => !fault.includes("404"))).toEqual([]);
  });

  test("shows a long history, which the executable reads in a thread of its own", async () => {
    const { api } = formation.node(0);
    const noise = crypto.getRandomValues(new Uint8Array(6_000)).toHex();
    await api.put("orders", "long", { noise, v: 1 });
    await api.put("orders", "long", { noise, v: 2 });
    await using seen = await look("#/documents/orders/long");
    const { page } = seen;
    await page.locator(".changes > li").nth(1).waitFor();
    expect(await page.locator(".changes > li").first().innerText()).toContain("1 → 2");
    expect(seen.faults).toEqual([]);
  });

  test("shows a cut peer at once as gone, with the reason, and what waits; and that it is back", async () => {
    await using seen = await look();
    const { page } = seen;
    const row = page.locator(".peers tbody tr").filter({ hasText: "node-2" });
    await page.locator(".picture g.edge.direct").nth(1).waitFor();
    await until("all peers to be in sync", async () => (await row.innerText()).includes("yes"));
    await formation.kill(2);
    await page.locator(".picture g.mark.away").waitFor();
    expect(await page.locator(".picture g.mark.away .name").innerHTML()).toBe("node-2");
    expect(await page.locator(".picture g.edge.away").count()).toBe(1);
    expect(await page.locator(".picture g.edge.direct").count()).toBe(1);
    await until("the row to say so", async () => /not connected/.test(await row.innerText()));
    expect(await row.innerText()).toMatch(/for \d+ s: /);
    expect(await page.locator(".picture").getAttribute("aria-label")).toContain("1 of 2 peers");
    const before = await row.innerText();
    await until("the time since to run", async () => (await row.innerText()) !== before);
    await formation.start(2);
    await until("the line to be back", async () => {
      return (await page.locator(".picture g.edge.direct").count()) === 2;
    });
    await until("the row to say so", async () => (await row.innerText()).includes("yes"));
    expect(await row.innerText()).toMatch(/\d+ ms/);
    expect(seen.faults).toEqual([]);
  });

  test("shows a peer that stands still as behind, how far, and that it is level again", async () => {
    await using seen = await look();
    const { page } = seen;
    const row = page.locator(".peers tbody tr").filter({ hasText: "node-1" });
    const mark = page.locator(".picture g.mark.behind").filter({ hasText: "node-1" });
    const lag = async () => (await row.locator("td").nth(2).innerText()).trim();
    await formation.node(0).api.put("orders", "before", { v: 1 });
    await until("a lag to be known", async () => (await lag()) !== "–");
    await until("the peer to be in sync", async () => (await row.innerText()).includes("yes"));
    const peer = formation.node(1).pid;
    // Long enough to be told from the lag of a peer that works, and too short for its link to be tried anew: where
    // this machine took longer for it, once more.
    await until("a stand of the right length", async () => {
      const stoodMs = performance.now();
      process.kill(peer, "SIGSTOP");
      try {
        await formation.node(0).api.put("orders", "waits", { v: stoodMs });
        const writtenMs = performance.now();
        await mark.waitFor();
        expect(await row.innerText()).toContain("not yet");
        await until("some time to pass", async () => performance.now() - writtenMs > 600);
      } finally {
        process.kill(peer, "SIGCONT");
      }
      if (performance.now() - stoodMs < 1_900) return true;
      await until("the peer to be in sync", async () => (await row.innerText()).includes("yes"));
      return false;
    });
    const isLate = async () => / s$/.test(await lag()) || Number.parseInt(await lag(), 10) > 500;
    await until("the lag of what waited", isLate);
    await until("the row to say so", async () => (await row.innerText()).includes("yes"));
    await mark.waitFor({ state: "detached" });
    expect(seen.faults).toEqual([]);
  });

  test("says that the node is gone and since when, and goes on by itself when it is back", async () => {
    await using seen = await look();
    const { page } = seen;
    await page.locator(".sight.live").waitFor();
    await formation.kill(0);
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.innerText()).toContain("node-0 does not answer");
    await until("the time since to run", async () => /\b[2-9] s$/.test(await alert.innerText()));
    // What was seen last stays.
    expect(await page.locator(".peers tbody tr").count()).toBe(2);
    await formation.start(0);
    await page.locator(".sight.live").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    expect(seen.faults.filter((fault) => !fault.includes("ERR_"))).toEqual([]);
  });

  test("follows the log, down to the level that is chosen", async () => {
    await using seen = await look("#/log");
    const { page } = seen;
    await page.locator(".log tbody tr").filter({ hasText: "Mesh started" }).first().waitFor();
    await page.getByLabel("Down to").selectOption("error");
    expect(await page.locator(".log tbody tr").filter({ hasText: "Mesh started" }).count()).toBe(0);
    expect(seen.faults).toEqual([]);
  });
});

describe.skipIf(missing !== "")(`${name}, where a token is needed,`, () => {
  const token = "pässword-of-the-test/+=";

  test("asks for it with the node's reason, keeps it out of every address, and uses it for all", async () => {
    await using closed = await Formation.prepare({
      executable: meshNodePath,
      nodes: 1,
      env: { PEAT_BROKER_READS: "token", PEAT_API_TOKEN: encodeURIComponent(token) },
    });
    const node = await closed.start(0);
    await node.ready();
    await using seen = await look("#/", { url: node.api.url });
    const { page } = seen;
    const urls: string[] = [];
    page.on("request", (request) => urls.push(request.url()));
    page.on("websocket", (socket) => urls.push(socket.url()));
    const input = page.getByLabel("API token");
    await input.waitFor();
    expect(await page.getByRole("alert").innerText()).toContain("PEAT_API_TOKEN");
    await input.fill("wrong");
    await input.press("Enter");
    await until("the refusal", async () =>
      (await page.getByRole("alert").innerText()).includes("is not that of PEAT_API_TOKEN"),
    );
    await input.fill(encodeURIComponent(token));
    await input.press("Enter");
    await page.locator(".health").waitFor();
    await page.reload();
    await page.locator(".health").waitFor();
    await page.goto(`${node.api.url}/#/documents/orders/o1`);
    const headers = {
      authorization: `Bearer ${encodeURIComponent(token)}`,
      "content-type": "application/json",
    };
    await page.locator(".document").waitFor();
    const put = await fetch(node.api.documentUrl("orders", "o1"), {
      method: "PUT",
      headers,
      body: '{"live":"yes"}',
    });
    expect(put.status).toBe(201);
    await page.getByText('"yes"').first().waitFor();
    await page.goto(`${node.api.url}/#/log`);
    await page.locator(".log tbody tr").first().waitFor();
    expect(urls.some((url) => url.includes("/api/v1/ws"))).toBe(true);
    expect(urls.filter((url) => url.includes("word-of-the-test"))).toEqual([]);
    expect(seen.faults.filter((fault) => !/40[14]/.test(fault))).toEqual([]);
    // Another tab has none.
    await using other = await look("#/", { url: node.api.url });
    await other.page.getByLabel("API token").waitFor();
  });
});

describe.skipIf(missing !== "")(`${name}, whatever it is shown,`, () => {
  const HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "\u202egnp.exe",
    `"><script>document.title='owned'</script>`,
    "javascript:document.title='owned'",
  ];

  test("shows hostile ids, names and values as text, and not a word more", async () => {
    const { api } = formation.node(0);
    for (const [index, text] of HOSTILE.entries()) {
      await api.put("hostile", text, { [text]: text, deep: [{ [text]: text }], index });
    }
    await api.put("hostile", "long", { long: "x".repeat(10_000), ["k".repeat(4_000)]: 1 });
    await api.put("hostile", "y".repeat(500), {});
    await using seen = await look("#/documents/hostile");
    const { page } = seen;
    const links = page.locator(".list .links a");
    await links.nth(HOSTILE.length + 1).waitFor();
    for (let index = 0; index < (await links.count()); index += 1) {
      await links.nth(index).click();
      await page.locator(".document .json").waitFor();
      await page.locator(".changes > li").first().waitFor();
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    }
    const shown = await textOf(page, ".list");
    expect(shown).toContain("<img src=x onerror");
    expect(shown).toContain("␣202e␣gnp.exe");
    expect(await page.title()).toBe("peat-sidecar");
    expect(await page.locator("#page img, #page script, #page iframe").count()).toBe(0);
    expect(seen.faults).toEqual([]);
  });

  test.each(["dark", "light"] as const)(
    "has nothing that axe calls serious, in %s colours",
    async (scheme) => {
      await formation.node(0).api.put("orders", "seen", { a: 1, b: ["x", null, true] });
      for (const hash of ["#/", "#/documents/orders/seen", "#/log"]) {
        for (const width of [1440, 360]) {
          await using seen = await look(hash, { scheme, width });
          const { page } = seen;
          await page.locator(".health, .log, .document").first().waitFor();
          if (hash.endsWith("seen")) await page.locator(".changes > li").first().waitFor();
          await page.evaluate(axe.source);
          const results = (await page.evaluate("axe.run()")) as axe.AxeResults;
          const serious = results.violations
            .filter(({ impact }) => impact === "serious" || impact === "critical")
            .map(
              ({ id, nodes }) => `${hash} ${width}: ${id}: ${nodes.map((n) => n.html).join(" ")}`,
            );
          expect(serious).toEqual([]);
          const isWithin = "document.documentElement.scrollWidth <= innerWidth";
          expect(await page.evaluate(isWithin)).toBe(true);
        }
      }
    },
  );

  test("is walked through by keys alone, and always shows where one is", async () => {
    await formation.node(0).api.put("walk", "a", { v: 1 });
    await formation.node(0).api.put("walk", "b", { v: 2 });
    await using seen = await look();
    const { page } = seen;
    const focused = () =>
      page.evaluate("(document.activeElement?.innerText ?? '').trim().split('\\n')[0]");
    const tabTo = async (text: string) => {
      for (let steps = 0; steps < 60; steps += 1) {
        await page.keyboard.press("Tab");
        const outline = await page.evaluate(
          "getComputedStyle(document.activeElement).outlineStyle",
        );
        expect(outline).not.toBe("none");
        if ((await focused()) === text) return;
      }
      throw new Error(`60 tabs did not lead to ${text}`);
    };
    await page.locator(".health").waitFor();
    await tabTo("Skip to content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.reload();
    await page.locator(".health").waitFor();
    await tabTo("Documents");
    await page.keyboard.press("Enter");
    await page.locator(".collections .links a").filter({ hasText: "walk" }).waitFor();
    await tabTo("walk");
    await page.keyboard.press("Enter");
    await page.locator(".list .links a").nth(1).waitFor();
    await tabTo("a");
    await page.keyboard.press("ArrowDown");
    expect(await focused()).toBe("b");
    await page.keyboard.press("Home");
    expect(await focused()).toBe("a");
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await page.locator(".document h2").filter({ hasText: "b" }).waitFor();
    await page.keyboard.press("Escape");
    await until(
      "the document to be closed",
      async () => (await page.locator(".document").count()) === 0,
    );
    await until("the focus to be back in the list", async () => (await focused()) === "b");
    expect(seen.faults).toEqual([]);
  });
});
