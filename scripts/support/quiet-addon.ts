// The QUIC addon without its one packet to everybody: it asks by UPnP for a router that would forward a port, as soon
// as an endpoint is bound, and its JavaScript interface has no way to forbid that. Nodes here talk to their peers
// only, so the address of that question is replaced by one that no IPv4 socket can send to: nothing leaves.
import { rename } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Addon } from "./build-targets.ts";
import { projectDir } from "./project.ts";

const ASKED = "239.255.255.250:1900";
/** As long, and a socket address as well; the search fails at once, as where there is no router. */
const NOBODY = "[::ffff:127.0.0.1]:9";
/** The same text in the words of the question itself, which stays as it is. */
const IN_WORDS = "Host:";

/** The library's bytes with the address replaced. Throws unless it is there exactly once. */
export function quieten(library: Uint8Array): Uint8Array {
  const bytes = Buffer.from(library);
  const places: number[] = [];
  for (let at = bytes.indexOf(ASKED); at !== -1; at = bytes.indexOf(ASKED, at + 1)) {
    const before = bytes.toString("latin1", Math.max(0, at - IN_WORDS.length), at);
    if (before !== IN_WORDS) places.push(at);
  }
  const [place] = places;
  if (place === undefined || places.length > 1) {
    throw new Error(
      `the QUIC addon has the UPnP address ${places.length} times and not once; see quiet-addon.ts`,
    );
  }
  bytes.write(NOBODY, place, "latin1");
  return bytes;
}

/** A copy of the addon, under its own name, that asks nobody. */
export async function quietAddon(addon: Addon): Promise<Addon> {
  // Always the same place: names in the executable are made from it, and two builds are to be equal byte by byte.
  const library = join(projectDir, ".cache", "quiet-addon", basename(addon.library));
  const fresh = `${library}.${process.pid}`;
  await Bun.write(fresh, quieten(await Bun.file(addon.library).bytes()));
  await rename(fresh, library);
  return { ...addon, library };
}
