// The dashboard's page, put together from its sources into one HTML text. In the compiled executable this module is
// the finished text (scripts/support/executable.ts); run from source, the page is made when it is first asked for.
import { join } from "node:path";

const SOURCES = join(import.meta.dir, "page");
/** Drawn for a tab's corner: three peers around a node. Inline, so that the browser asks nobody for one. */
const ICON = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><g stroke='#2a9d8f' stroke-width='2'><path d='M16 16 6 8M16 16l11-5M16 16l-3 12'/></g><g fill='#2a9d8f'><circle cx='16' cy='16' r='6'/><circle cx='6' cy='8' r='4'/><circle cx='27' cy='11' r='4'/><circle cx='13' cy='28' r='4'/></g></svg>`;

export interface PageBundle {
  readonly html: string;
  /** Content-Security-Policy under which exactly this page runs, and nothing else. */
  readonly policy: string;
}

function hashSource(text: string): string {
  return `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`;
}

/** Nothing in a script may end its element early. */
function inline(text: string): string {
  return text.replaceAll(/<(?=\/script|\/style|!--)/gi, "\\x3C");
}

async function build(entry: string): Promise<string> {
  const output = await Bun.build({
    entrypoints: [join(SOURCES, entry)],
    target: "browser",
    format: "esm",
    minify: true,
  });
  return (await Promise.all(output.outputs.map((artifact) => artifact.text()))).join("");
}

/** Equal sources give equal texts. Throws an AggregateError for sources that don't compile. */
export async function bundlePage(): Promise<PageBundle> {
  const [script, style] = await Promise.all([
    build("main.tsx").then(inline),
    build("style.css").then((text) => text.trim()),
  ]);
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>peat-sidecar</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<style>${style}</style>
</head>
<body>
<div id="page"><noscript>This page needs JavaScript; the same is told by <code>peat-sidecar status</code>.</noscript></div>
<script type="module">${script}</script>
</body>
</html>
`;
  const policy = [
    "default-src 'none'",
    `script-src ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return { html, policy };
}
