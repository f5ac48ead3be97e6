// A node that sends and receives files: real Iroh on loopback, real folders that outlive a restart.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { type Distribution, progressOf } from "../../src/attachments/distribution.ts";
import type { FileRequest, SendRequest } from "../../src/attachments/send-request.ts";
import type { Sent } from "../../src/attachments/sender.ts";
import type { Attachments } from "../../src/attachments/service.ts";
import type { Secret } from "../../src/base/secret.ts";
import type { Link } from "../../src/net/link.ts";
import { type FileSettings, fileFeatures, openFiles } from "../../src/node-files.ts";
import { ALPN_ATTACHMENT } from "../../src/wire/attachment.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../../src/wire/hello.ts";
import { TestNode } from "./start-node.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 60_000;

export interface FileNodeOptions {
  readonly name: string;
  readonly secret: Secret<Uint8Array>;
  /** Holds data, outbox and inbox of the node; the same again after a restart. */
  readonly folder: string;
  readonly isSender?: boolean;
  readonly isReceiver?: boolean;
  readonly settings?: Partial<FileSettings>;
  readonly bindAddress?: string;
}

export class FileNode implements AsyncDisposable {
  readonly node: TestNode;
  readonly files: Attachments;
  readonly folder: string;
  readonly #running: Promise<void>;
  #isStopped = false;

  private constructor(node: TestNode, files: Attachments, folder: string) {
    this.node = node;
    this.files = files;
    this.folder = folder;
    this.#running = files.run();
  }

  static async start(options: FileNodeOptions): Promise<FileNode> {
    const { name, secret, isSender = true, isReceiver = true } = options;
    const folder = join(options.folder, name);
    for (const part of ["data", "outbox"]) mkdirSync(join(folder, part), { recursive: true });
    const late: { files?: Attachments } = {};
    const settings = {
      nodeName: name as FileSettings["nodeName"],
      dataDir: join(folder, "data"),
      attachmentRoots: isSender ? [{ name: "out", path: join(folder, "outbox") }] : [],
      attachmentInbox: isReceiver ? join(folder, "inbox") : undefined,
      attachmentMaxFileBytes: 2048 * MIB,
      attachmentMaxBundleBytes: 4096 * MIB,
      attachmentMaxFilesPerBundle: 8,
      attachmentMaxNodeListLen: 16,
      attachmentMaxConcurrentDistributions: 4,
      attachmentSpareBytes: 0,
      attachmentDefaultPriority: "routine",
      attachmentDiscoveryGraceSecs: 30,
      attachmentHandleRetentionSecs: 86_400,
      attachmentOutboxWatch: false,
      attachmentOutboxPollSecs: 1,
      ...options.settings,
    } satisfies FileSettings;
    const node = await TestNode.start({
      name,
      secrets: [secret],
      folder: join(folder, "data"),
      alpns: [ALPN_NATIVE, ALPN_GUEST, ALPN_ATTACHMENT],
      ...(options.bindAddress === undefined ? {} : { bindAddress: options.bindAddress }),
      beside: {
        features: fileFeatures(settings),
        arrivedBeside: async (link: Link) => await late.files?.arrived(link),
      },
    });
    const { store, formation, coordinator, network } = node;
    try {
      const files = await openFiles(settings, { store, formation, coordinator, network });
      if (files === undefined) throw new Error("a node of files sends or receives");
      late.files = files;
      return new FileNode(node, files, folder);
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  get name() {
    return this.node.name;
  }

  get address(): string {
    return this.node.address;
  }

  get shortId(): string {
    return this.node.network.id.slice(0, 10);
  }

  /** Writes a file below the root, and describes it as a client would. */
  offer(path: string, content: Uint8Array): FileRequest {
    const target = join(this.folder, "outbox", path);
    mkdirSync(join(target, ".."), { recursive: true });
    writeFileSync(target, content);
    return describe(path, content);
  }

  send(files: readonly FileRequest[], given: Partial<SendRequest> = {}): Promise<Sent> {
    const { sender } = this.files;
    if (sender === undefined) throw new Error("this node sends nothing");
    const scope = { kind: "all" } as const;
    const request = { files, scope, priority: undefined, bundleId: undefined, ...given };
    return sender.send(request, new AbortController().signal);
  }

  /** What has been delivered under a path. */
  received(path: string): Uint8Array | undefined {
    const target = join(this.folder, "inbox", path);
    return existsSync(target) ? new Uint8Array(readFileSync(target)) : undefined;
  }

  /** Resolves once this node knows the distribution to have come so far. */
  async shows(
    { id }: Pick<Distribution, "id">,
    progress: ReturnType<typeof progressOf>,
    limitMs = LIMIT_MS,
  ): Promise<Distribution> {
    return await waitFor(`${id} to be ${progress} on ${this.name}`, limitMs, () => {
      const found = this.find(id);
      return found !== undefined && progressOf(found) === progress ? found : undefined;
    });
  }

  find(id: string): Distribution | undefined {
    try {
      return this.files.distribution(id);
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.files.close();
    await this.#running;
    await this.node.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.node[Symbol.asyncDispose]();
  }
}

export function describe(path: string, content: Uint8Array): FileRequest {
  return {
    rootName: "out",
    relativePath: path,
    sizeBytes: BigInt(content.length),
    sha256: new Uint8Array(new Bun.CryptoHasher("sha256").update(content).digest()),
  };
}

/** Bytes that look like nothing, the same for the same seed. */
export function noise(size: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = seed >>> 0 || 1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, size);
}

/** Each looks for each, and all are connected. */
export async function together(...nodes: readonly FileNode[]): Promise<void> {
  for (const { node } of nodes) {
    for (const other of nodes) if (other.node !== node) node.seek(other);
  }
  await Promise.all(
    nodes.map(({ node }) => node.connected(...nodes.filter((other) => other.node !== node))),
  );
}
