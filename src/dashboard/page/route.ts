// Which part of the page is shown, as it stands behind the # of its address: nothing secret is ever there.

export type Route =
  | { readonly view: "mesh" }
  | {
      readonly view: "documents";
      readonly collection: string | undefined;
      readonly id: string | undefined;
    }
  | { readonly view: "log" };

function decode(part: string | undefined): string | undefined {
  if (part === undefined || part === "") return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    // Written by hand, and wrong: as if it were not there.
    return undefined;
  }
}

export function parseRoute(hash: string): Route {
  const [, view, collection, id] = hash.split("/");
  if (view === "log") return { view };
  if (view !== "documents") return { view: "mesh" };
  const name = decode(collection);
  return { view, collection: name, id: name === undefined ? undefined : decode(id) };
}

export function printRoute(route: Route): string {
  if (route.view === "mesh") return "#/";
  if (route.view === "log") return "#/log";
  const parts = [route.collection, route.id].filter((part) => part !== undefined);
  return ["#/documents", ...parts.map(encodeURIComponent)].join("/");
}
