// The pages speak of what there is: links that lead somewhere, settings, commands, scripts, routes and metrics that exist.
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { projectDir, readPackageJson } from "../../../scripts/support/project.ts";
import { fieldsOf } from "../../../src/base/fields.ts";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { ENVIRONMENT_NAMES, FOREIGN_NAMES } from "../../../src/config/names.ts";
import { anchorsOf, linksOf, partsOf } from "../../support/markdown.ts";
import { metricNamesIn, seriesNames } from "../../support/metric-names.ts";
import { startBroker } from "../../support/start-broker.ts";

interface Page {
  readonly path: string;
  readonly text: string;
}

const PAGES: readonly Page[] = [...new Bun.Glob("**/*.md").scanSync(projectDir)]
  .filter((path) => !path.includes("node_modules/") && !path.startsWith("dist/"))
  .map((path) => ({ path, text: readFileSync(join(projectDir, path), "utf8") }));

/** Complaints of all pages. */
function each(complain: (page: Page) => Iterable<string>): string[] {
  return PAGES.flatMap((page) => [...complain(page)].map((said) => `${page.path}: ${said}`));
}

/** What a page shows as typed: fenced blocks line by line, and code in its prose. */
function typed({ text }: Page): string[] {
  const { prose, blocks } = partsOf(text);
  const spans = prose.flatMap((line) => [...line.matchAll(/`([^`]+)`/g)].map((m) => m[1] ?? ""));
  return [...blocks.flatMap((block) => block.text.split("\n")), ...spans];
}

describe("a link", () => {
  test("leads to a file that is there, and to a heading that it has", () => {
    const complaints = each(function* ({ path, text }) {
      for (const link of linksOf(text)) {
        if (/^(?:https?|mailto):/.test(link)) continue;
        const [file = "", anchor] = link.split("#");
        const target = file === "" ? path : normalize(join(dirname(path), decodeURI(file)));
        const full = join(projectDir, target);
        if (!existsSync(full)) yield `${link} is not there`;
        else if (anchor !== undefined && target.endsWith(".md")) {
          if (!anchorsOf(readFileSync(full, "utf8")).has(anchor)) yield `${link}: no such heading`;
        }
      }
    });
    expect(complaints).toEqual([]);
  });

  test("is looked for where pages have one", () => {
    expect(PAGES.flatMap(({ text }) => linksOf(text)).length).toBeGreaterThan(50);
  });
});

/** Of tests, of the build and of the older sidecar; no settings of a node. */
const NO_SETTINGS = /^PEAT_(?:TEST|DOCKER|RELEASE)_/;

test("a variable is a setting, or one that is told to have no meaning", () => {
  const known = [...ENVIRONMENT_NAMES.keys(), ...FOREIGN_NAMES.keys()];
  const complaints = each(function* ({ text }) {
    for (const [name] of text.matchAll(/\bPEAT_[A-Z0-9_]*[A-Z0-9*](?:_\*)?/g)) {
      const isFamily = name.endsWith("*");
      const start = name.replace(/\*$/, "");
      const exists = isFamily
        ? known.some((candidate) => candidate.startsWith(start))
        : known.includes(name);
      if (!exists && !NO_SETTINGS.test(name)) yield `${name} is no setting`;
    }
  });
  expect(complaints).toEqual([]);
});

test("a command that is shown is one of the program's", () => {
  const names = new Set(["mesh-node", ...COMMANDS.map(({ name }) => name)]);
  const shown =
    /(?:^|[|;&(] *|\bsudo |-- |\$ )(?:\S*\/)?(?:peat-sidecar|peat-mesh-node) +([a-z][a-z-]*)/g;
  let count = 0;
  const complaints = each(function* (page) {
    for (const line of typed(page)) {
      for (const [, name = ""] of line.trim().matchAll(shown)) {
        count += 1;
        if (!names.has(name)) yield `${line.trim()}: there is no command ${name}`;
      }
    }
  });
  expect(complaints).toEqual([]);
  expect(count).toBeGreaterThan(20);
});

test("a script that is shown is there", async () => {
  const { scripts } = await readPackageJson();
  const complaints = each(function* (page) {
    for (const line of typed(page)) {
      for (const [, name = ""] of line.matchAll(/\bbun(?:@\S+)? run (?:--\S+ )*([a-z][\w:-]*)/g)) {
        if (!Object.hasOwn(scripts, name)) yield `bun run ${name}: no such script`;
      }
      for (const [, path = ""] of line.matchAll(
        /(?:\bbun |\s|^)((?:scripts|test|src)\/[\w./-]+\w)(?![\w*])/g,
      )) {
        if (!existsSync(join(projectDir, path))) yield `${path} is not there`;
      }
    }
  });
  expect(complaints).toEqual([]);
});

describe("a route", () => {
  const parts = (path: string) => path.split("/").filter((part) => part !== "");
  /** Whether a path of a page is one of the API's, or the beginning of one. */
  const leads = (shown: readonly string[], route: readonly string[]) =>
    shown.length <= route.length &&
    shown.every(
      (part, n) => /^[{:$…]|^[A-Z]+$/.test(part) || route[n] === part || /^\{/.test(route[n] ?? ""),
    );

  test("that is named is one that the broker has", async () => {
    await using world = await startBroker();
    const described = await fetch(`${world.broker.url}/openapi.json`);
    const { paths } = fieldsOf(await described.json());
    const routes = Object.keys(fieldsOf(paths)).map(parts);
    let count = 0;
    const complaints = each(function* ({ text }) {
      for (const [shown] of text.matchAll(/\/api\/v1\/[\w{}:$/-]*\w/g)) {
        count += 1;
        if (!routes.some((route) => leads(parts(shown), route))) yield `${shown} is no route`;
      }
    });
    expect(complaints).toEqual([]);
    expect(count).toBeGreaterThan(40);
  });
});

/** They begin as metrics do. */
const LOG_TARGETS: ReadonlySet<string> = new Set(["peat_mesh", "peat_mesh_node"]);

describe("a metric", () => {
  let series: ReadonlySet<string>;
  beforeAll(async () => {
    series = await seriesNames();
  });
  const familyOf = (name: string) => name.replace(/_(?:bucket|sum|count)$/, "");

  test("that is named is one that a node has", () => {
    const families = new Set([...series].map(familyOf));
    const complaints = each(function* ({ text }) {
      for (const name of metricNamesIn(text)) {
        if (LOG_TARGETS.has(name)) continue;
        if (!series.has(name) && !families.has(name)) yield `${name} is no metric`;
      }
    });
    expect(complaints).toEqual([]);
  });

  test("of a node is explained in monitoring.md", () => {
    const page = PAGES.find(({ path }) => path === "docs/monitoring.md")?.text ?? "";
    const named = new Set(metricNamesIn(page));
    expect([...new Set([...series].map(familyOf))].filter((name) => !named.has(name))).toEqual([]);
  });
});
