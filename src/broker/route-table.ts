// Which route and methods a path has: for the answers to those that it has not, and for what is counted by route.

interface Route {
  readonly method: string;
  readonly path: string;
}

interface Pattern {
  readonly segments: readonly string[];
  readonly methods: Set<string>;
}

/** What is answered on every path that has the first. */
const IMPLIED: Readonly<Record<string, readonly string[]>> = { GET: ["GET", "HEAD"], WS: ["GET"] };

export class RouteTable {
  readonly #patterns = new Map<string, Pattern>();

  constructor(routes: readonly Route[]) {
    for (const { method, path } of routes) {
      const pattern = this.#patterns.get(path) ?? { segments: path.split("/"), methods: new Set() };
      for (const implied of IMPLIED[method] ?? [method]) pattern.methods.add(implied);
      this.#patterns.set(path, pattern);
    }
  }

  /** The route of the path in a request, as it stands there, with its methods; undefined if there is none. */
  find(
    path: string,
  ): { readonly route: string; readonly methods: ReadonlySet<string> } | undefined {
    const segments = path.split("/");
    for (const [route, pattern] of this.#patterns) {
      if (matches(pattern.segments, segments)) return { route, methods: pattern.methods };
    }
    return undefined;
  }

  /** Methods of the path; none if there is no such path. */
  methodsOf(path: string): readonly string[] {
    const found = this.find(path);
    return found === undefined ? [] : [...found.methods, "OPTIONS"];
  }
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, index) =>
      part.startsWith(":") ? segments[index] !== "" : part === segments[index],
    )
  );
}
