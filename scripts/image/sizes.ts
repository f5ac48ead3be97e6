// What an image weighs: as its layers are kept and sent, as it lies unpacked, and what each part of it costs.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ADDON_PATH } from "../support/executable.ts";
import { type Podman, runProgram } from "./podman.ts";

/** In bytes. */
export interface Weight {
  readonly unpacked: number;
  readonly gzip: number;
  readonly zstd: number;
}

export interface Part extends Weight {
  readonly name: string;
}

export interface MeasureOptions {
  readonly podman: Podman;
  readonly image: string;
  /** The image that it was built on: its layers are the base. */
  readonly runtime: string;
  /** 1 to 19; gzip is at its usual 6. */
  readonly zstdLevel: number;
}

async function compressedBytes(command: readonly string[], path: string): Promise<number> {
  const child = Bun.spawn([...command, path], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += chunk.length;
  // 2 is gzip's warning that the times in it are those of reproducible archives.
  if (![0, 2].includes(await child.exited)) throw new Error(`${command.join(" ")} ${path} failed`);
  return bytes;
}

async function weigh(path: string, zstdLevel: number): Promise<Weight> {
  return {
    unpacked: Bun.file(path).size,
    gzip: await compressedBytes(["gzip", "-6", "-c"], path),
    zstd: await compressedBytes(["zstd", "-q", `-${zstdLevel}`, "-T0", "-c"], path),
  };
}

function combine(a: Weight, b: Weight, sign: 1 | -1): Weight {
  return {
    unpacked: a.unpacked + sign * b.unpacked,
    gzip: a.gzip + sign * b.gzip,
    zstd: a.zstd + sign * b.zstd,
  };
}

const NOTHING: Weight = { unpacked: 0, gzip: 0, zstd: 0 };

/** The image's layers as files, lowest first. */
async function unpackLayers(podman: Podman, image: string, folder: string): Promise<string[]> {
  const archive = join(folder, "image.tar");
  await podman.run("save", "--quiet", "--format=docker-archive", "--output", archive, image);
  await runProgram("tar", "-xf", archive, "-C", folder);
  await rm(archive);
  const [manifest]: { Layers: string[] }[] = await Bun.file(join(folder, "manifest.json")).json();
  return (manifest?.Layers ?? []).map((layer) => join(folder, layer));
}

/** A program that does nothing: what Bun costs before a line of ours. */
async function compileNothing(folder: string): Promise<string> {
  const entry = join(folder, "nothing.ts");
  const outfile = join(folder, "nothing");
  await writeFile(entry, "");
  await Bun.build({ entrypoints: [entry], target: "bun", compile: { outfile } });
  return outfile;
}

/** The layers of the base and the ones above them. */
async function weighLayers(options: MeasureOptions): Promise<{ base: Weight; own: Weight }> {
  const { podman, image, runtime, zstdLevel } = options;
  const folder = await mkdtemp(join(podman.folder, "layers-"));
  try {
    const baseLayers = Number(await podman.inspect(runtime, "{{len .RootFS.Layers}}"));
    const weights: Weight[] = [];
    for (const layer of await unpackLayers(podman, image, folder)) {
      weights.push(await weigh(layer, zstdLevel));
    }
    const total = (some: readonly Weight[]) => some.reduce((a, b) => combine(a, b, 1), NOTHING);
    return { base: total(weights.slice(0, baseLayers)), own: total(weights.slice(baseLayers)) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** All layers together. A minute or more at high levels. */
export async function weighImage(options: MeasureOptions): Promise<Weight> {
  const { base, own } = await weighLayers(options);
  return combine(base, own, 1);
}

/** All layers together, and what is in them. */
export async function measureParts(options: MeasureOptions): Promise<readonly Part[]> {
  const { podman, image, zstdLevel } = options;
  const { base, own } = await weighLayers(options);
  const folder = await mkdtemp(join(podman.folder, "parts-"));
  try {
    const root = await podman.run("image", "mount", image);
    const addon = await weigh(join(root, ADDON_PATH), zstdLevel);
    const bun = await weigh(await compileNothing(folder), zstdLevel);
    const code = combine(combine(own, addon, -1), bun, -1);
    return [
      { name: "whole image", ...combine(base, own, 1) },
      { name: "base: C library, certificates, time zones", ...base },
      { name: "Bun's runtime", ...bun },
      { name: "own code and Automerge", ...code },
      { name: "QUIC addon", ...addon },
    ];
  } finally {
    await podman.run("image", "umount", image).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** A table in Markdown, in MB. */
export function printParts(parts: readonly Part[]): string {
  const rows = parts.map(({ name, unpacked, gzip, zstd }) => {
    return `| ${[name, ...[unpacked, gzip, zstd].map(megabytes)].join(" | ")} |`;
  });
  return ["| MB | unpacked | gzip | zstd |", "|---|---|---|---|", ...rows].join("\n");
}
