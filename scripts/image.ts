// bun scripts/image.ts: builds the image by podman from a base made of Debian's packages, with no registry of images,
// and prints what it weighs. Needs root, podman and mmdebstrap.
import { parseArgs } from "node:util";
import { ensureBases } from "./image/bases.ts";
import { buildImage, importBases, RUNTIME } from "./image/build.ts";
import { Podman } from "./image/podman.ts";
import { measureParts, printParts } from "./image/sizes.ts";
import { exitOnSignals } from "./support/at-exit.ts";

const USAGE = `usage: bun scripts/image.ts [--bases] [--save FILE] [--zstd-level N]

--bases       only makes the bases, which are kept in the user's cache
--save        writes the image to an archive that docker load and podman load read, and measures nothing
--zstd-level  1 to 19, by default 19`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      bases: { type: "boolean", default: false },
      save: { type: "string" },
      "zstd-level": { type: "string", default: "19" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const zstdLevel = Number(values["zstd-level"]);
  if (values.help || !(zstdLevel >= 1 && zstdLevel <= 19)) {
    (values.help ? console.log : console.error)(USAGE);
    return values.help ? 0 : 64;
  }
  const missing = ["podman", "mmdebstrap", "zstd"].filter((name) => Bun.which(name) === null);
  if (missing.length > 0 || process.getuid?.() !== 0) {
    console.error(`no image: this needs root and ${missing.join(", ") || "nothing else"}`);
    return 1;
  }
  exitOnSignals();
  const bases = await ensureBases();
  if (values.bases) {
    console.log(`${bases.debian}\n${bases.cc}`);
    return 0;
  }
  await using podman = await Podman.open();
  await importBases(podman, bases);
  const image = "localhost/peat-mesh-node:latest";
  await buildImage(podman, "image", image);
  if (values.save !== undefined) {
    await podman.run("save", "--quiet", "--output", values.save, image);
    console.log(values.save);
    return 0;
  }
  console.log(printParts(await measureParts({ podman, image, runtime: RUNTIME, zstdLevel })));
  return 0;
}

process.exitCode = await main();
