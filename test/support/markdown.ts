// What a page in Markdown has for others to point at, and what it points at, as GitHub understands it.

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Of the line with its fence, from 1. */
  readonly line: number;
}

const FENCE = /^(`{3,}|~{3,})\s*([^\s`]*)/;

/** A page without its fenced blocks, line by line, and the blocks. */
export function partsOf(page: string): {
  readonly prose: readonly string[];
  readonly blocks: readonly Block[];
} {
  const prose: string[] = [];
  const blocks: Block[] = [];
  let open: { fence: string; language: string; line: number; lines: string[] } | undefined;
  for (const [index, text] of page.split("\n").entries()) {
    const [, fence = "", language = ""] = FENCE.exec(text) ?? [];
    if (open === undefined) {
      if (fence === "") prose.push(text);
      else open = { fence, language, line: index + 1, lines: [] };
      continue;
    }
    if (text.trimEnd() !== open.fence) {
      open.lines.push(text);
      continue;
    }
    blocks.push({ language: open.language, text: open.lines.join("\n"), line: open.line });
    open = undefined;
  }
  if (open !== undefined) throw new Error(`the block that begins in line ${open.line} has no end`);
  return { prose, blocks };
}

/** Of a heading: lower case, blanks as hyphens, without other signs. */
function slugOf(heading: string): string {
  return heading
    .trim()
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** Of its headings; one that is there again has a number. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of partsOf(page).prose) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = slugOf(heading);
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Targets of links and images in its prose. */
export function linksOf(page: string): string[] {
  return partsOf(page).prose.flatMap((line) => {
    const plain = line.replace(/`[^`]*`/g, "");
    return [...plain.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(
      (match) => match[1] ?? "",
    );
  });
}
