// Debian has no rpm of its C library: a package without files stands in a machine's rpm database, so that packages
// are installed with their dependencies checked.
import { bring } from "./packaged-node.ts";
import { makeSmallPackage } from "./small-package.ts";

interface Place {
  readonly root: string;
  run(script: string): { readonly code: number | null; readonly text: string };
}

/** Enters a version of the library, by default the one that is there, and what else every such system has. */
export async function giveLibrary(place: Place, folder: string, version?: string): Promise<void> {
  const told = place.run("ldd --version").text.split("\n")[0] ?? "";
  const path = await makeSmallPackage("rpm", folder, {
    name: "glibc",
    version: version ?? /([\d.]+)$/.exec(told)?.[1] ?? "",
    provides: ["libgcc", "/bin/sh", "shadow-utils"],
  });
  const { code, text } = place.run(`rpm -U --force-debian --oldpackage ${bring(place, path)}`);
  if (code !== 0) throw new Error(`the library was not entered: ${text}`);
}
