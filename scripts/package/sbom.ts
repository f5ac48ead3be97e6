// The software bill of materials, CycloneDX 1.6: everything that the executable holds, from the lock file, with the
// hashes that it pins and the licenses that the packages tell.
import { join } from "node:path";
import { projectDir, readPackageJson } from "../support/project.ts";

/** Asked for by some packages, and gone once they are compiled. */
const TYPES_ONLY = /^(?:typescript$|@typescript\/|@types\/|(?:bun|undici)-types$)/;

/** A package of the lock file: its resolution, and what it needs. */
interface Locked {
  readonly key: string;
  readonly name: string;
  readonly version: string;
  readonly needs: Readonly<Record<string, string>>;
  readonly integrity: string | undefined;
}

interface Component {
  readonly type: "library" | "application" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
}

type LockEntry = readonly [
  resolution: string,
  registry: string,
  about: {
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
    readonly peerDependencies?: Readonly<Record<string, string>>;
  },
  integrity?: string,
];

/** The packages of a lock file's text, by their keys: `name`, or `parent/name` where a parent has its own. */
export function readLock(text: string): ReadonlyMap<string, Locked> {
  const lock = Bun.JSONC.parse(text) as { packages: Readonly<Record<string, LockEntry>> };
  return new Map(
    Object.entries(lock.packages).map(([key, [resolution, , about, integrity]]) => {
      const at = resolution.lastIndexOf("@");
      const needs = {
        ...about.peerDependencies,
        ...about.optionalDependencies,
        ...about.dependencies,
      };
      const name = resolution.slice(0, at);
      return [key, { key, name, version: resolution.slice(at + 1), needs, integrity }];
    }),
  );
}

/** What `names` need, and what that needs. A package that was not published, or is of another machine, is left out. */
export function closure(
  lock: ReadonlyMap<string, Locked>,
  names: readonly string[],
  isWanted: (name: string) => boolean,
): readonly Locked[] {
  const found = new Map<string, Locked>();
  const visit = (name: string, parents: readonly string[]): void => {
    // The nearest folder's own copy, else the common one.
    const keys = [name, ...parents.map((_, i) => [...parents.slice(0, i + 1), name].join("/"))];
    const locked = keys.map((key) => lock.get(key)).findLast((entry) => entry !== undefined);
    if (locked === undefined || found.has(locked.key) || !isWanted(locked.name)) return;
    found.set(locked.key, locked);
    const folders = locked.key.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [];
    for (const need of Object.keys(locked.needs)) visit(need, folders);
  };
  for (const name of names) visit(name, []);
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const purlOf = (name: string, version: string) => `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;

async function licenseOf({ key }: Locked): Promise<string | undefined> {
  const folder = key.replaceAll(/(?<=[^@/][^/]*)\/(?=@|[^/]+$)/g, "/node_modules/");
  for (const path of [key, folder]) {
    const file = Bun.file(join(projectDir, "node_modules", path, "package.json"));
    if (!(await file.exists())) continue;
    const { license } = (await file.json()) as { license?: unknown };
    if (typeof license === "string") return license;
  }
  return undefined;
}

async function componentOf(locked: Locked): Promise<Component> {
  const { name, version, integrity } = locked;
  const purl = purlOf(name, version);
  const license = await licenseOf(locked);
  const hash = integrity?.startsWith("sha512-")
    ? Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex")
    : undefined;
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
    ...(hash === undefined ? {} : { hashes: [{ alg: "SHA-512", content: hash }] }),
  };
}

/** The bill as text. `addonSuffix` is the machine's part of the addon's package name: the others are not inside. */
export async function renderSbom(addonSuffix: string, time: Date): Promise<string> {
  const { version, dependencies } = await readPackageJson();
  const lock = readLock(await Bun.file(join(projectDir, "bun.lock")).text());
  const isWanted = (name: string) =>
    !TYPES_ONLY.test(name) &&
    (!name.startsWith("@number0/iroh-") || name === `@number0/iroh-${addonSuffix}`);
  const inside = closure(lock, Object.keys(dependencies), isWanted);
  const self = `pkg:generic/peat-sidecar@${version}`;
  const runtime = `pkg:generic/bun@${Bun.version}`;
  const components: Component[] = [
    {
      type: "platform",
      "bom-ref": runtime,
      name: "bun",
      version: Bun.version,
      purl: runtime,
      licenses: [{ expression: "MIT" }],
    },
    ...(await Promise.all(inside.map(componentOf))),
  ];
  const refs = new Map(inside.map(({ name, version: v }) => [name, purlOf(name, v)]));
  const needed = (names: readonly string[]) =>
    names.flatMap((name) => refs.get(name) ?? []).sort((a, b) => (a < b ? -1 : 1));
  const body = {
    metadata: {
      timestamp: time.toISOString(),
      component: {
        type: "application",
        "bom-ref": self,
        name: "peat-sidecar",
        version,
        purl: self,
      },
    },
    components,
    dependencies: [
      { ref: self, dependsOn: [runtime, ...needed(Object.keys(dependencies))] },
      ...inside.map(({ name, version: v, needs }) => ({
        ref: purlOf(name, v),
        dependsOn: needed(Object.keys(needs)),
      })),
    ],
  };
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify(body)).digest("hex");
  // Of equal contents the same number: a version-8 UUID made of their hash.
  const uuid = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    ...body,
  };
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}
