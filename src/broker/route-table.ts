// Which methods a path has: for the answers to those that it has not.

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

  /** The route of a path; undefined if there is none. */
  routeOf(path: string): string | undefined {
    const segments = path.split("/");
    for (const [route, pattern] of this.#patterns) {
      if (matches(pattern.segments, segments)) return route;
    }
    return undefined;
  }

  /** Methods of the path in a request, as it stands there; none if there is no such path. */
  methodsOf(path: string): readonly string[] {
    const pattern = this.#patterns.get(this.routeOf(path) ?? "");
    return pattern === undefined ? [] : [...pattern.methods, "OPTIONS"];
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
