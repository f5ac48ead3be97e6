// What a client asks to be sent, and all that can be found wrong with it before any file is touched. A sentence begins
// with the field of the request that it is about.
import { toHex } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import type { Formation } from "../identity/formation.ts";
import { type NodeName, parseNodeName, shortId } from "../identity/peer.ts";
import { isShortId, type Priority } from "./distribution.ts";
import type { FilePeer } from "./peers.ts";
import { parseRelativePath, type RelativePath } from "./relative-path.ts";
import { rootAt } from "./roots.ts";

export interface FileRequest {
  readonly rootName: string;
  readonly relativePath: string;
  readonly sizeBytes: bigint;
  readonly sha256: Uint8Array;
  readonly contentType?: string | undefined;
  readonly displayName?: string | undefined;
}

export type Scope =
  | { readonly kind: "all" }
  | { readonly kind: "list"; readonly nodeIds: readonly string[] }
  | { readonly kind: "formation" | "capable" };

export interface SendRequest {
  readonly files: readonly FileRequest[];
  readonly scope: Scope | undefined;
  readonly priority: Priority | undefined;
  readonly bundleId: string | undefined;
}

export interface SendLimits {
  readonly fileBytesMax: number;
  readonly bundleBytesMax: number;
  readonly filesMax: number;
  readonly nodeListMax: number;
}

/** A file as it has been described, in order. */
export interface WantedFile {
  readonly root: string;
  readonly path: RelativePath;
  readonly size: number;
  readonly sha256: string;
  readonly name: string;
  readonly contentType?: string;
}

const TEXT_CHARS_MAX = 1024;
const BUNDLE_ID_CHARS_MAX = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: texts must not hold them.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function invalid(sentence: string): Fault {
  return new Fault("invalid_argument", sentence);
}

function tooMuch(sentence: string): Fault {
  return new Fault("payload_too_large", sentence);
}

function checkText(field: string, text: string, charsMax: number): void {
  if (text.length <= charsMax && text.isWellFormed() && !CONTROL.test(text)) return;
  throw invalid(
    `${field}: must be at most ${charsMax} characters of well-formed text without control characters`,
  );
}

/** How many files, how many bytes, to whom: before anything about a single file. */
export function checkRequest({ files, scope, bundleId }: SendRequest, limits: SendLimits): void {
  if (files.length === 0) throw invalid("files: names no file");
  if (files.length > limits.filesMax) {
    throw tooMuch(`files: names ${files.length}; at most ${limits.filesMax}`);
  }
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
  if (bytes > BigInt(limits.bundleBytesMax)) {
    throw tooMuch(`files: have ${bytes} bytes together; at most ${limits.bundleBytesMax}`);
  }
  if (scope === undefined) throw invalid("scope: is required");
  if (scope.kind === "formation" || scope.kind === "capable") {
    const sentence = `scope.${scope.kind}: is not offered; use all_nodes or node_list`;
    throw new Fault("conflict", sentence);
  }
  if (scope.kind === "list") {
    const { length } = scope.nodeIds;
    if (length === 0) throw invalid("scope.node_list.node_ids: names no node");
    if (length > limits.nodeListMax) {
      throw tooMuch(`scope.node_list.node_ids: names ${length}; at most ${limits.nodeListMax}`);
    }
  }
  if (bundleId !== undefined) checkText("bundle_id", bundleId, BUNDLE_ID_CHARS_MAX);
}

/** Fault `payload_too_large`. */
export function checkSize(size: bigint, field: string, bytesMax: number): void {
  if (size > BigInt(bytesMax))
    throw tooMuch(`${field}.size_bytes: is ${size}; at most ${bytesMax}`);
}

/** One file of the request, as far as it can be judged without looking at it. */
export function readFile(
  file: FileRequest,
  field: string,
  context: { readonly roots: ReadonlyMap<string, string>; readonly fileBytesMax: number },
): WantedFile {
  const { rootName, relativePath, sizeBytes, sha256, contentType, displayName } = file;
  if (sha256.length !== 32)
    throw invalid(`${field}.sha256: must be 32 bytes, not ${sha256.length}`);
  rootAt(context.roots, rootName, field);
  const path = parseRelativePath(relativePath);
  if (typeof path === "string") throw invalid(`${field}.relative_path: ${path}`);
  checkSize(sizeBytes, field, context.fileBytesMax);
  for (const [name, text] of [
    ["content_type", contentType],
    ["display_name", displayName],
  ] as const) {
    if (text !== undefined) checkText(`${field}.${name}`, text, TEXT_CHARS_MAX);
  }
  return {
    root: rootName,
    path,
    size: Number(sizeBytes),
    sha256: toHex(sha256),
    name: displayName === undefined || displayName === "" ? relativePath : displayName,
    ...(contentType === undefined ? {} : { contentType }),
  };
}

/** What makes a file of a request the same one. */
export interface FileIdentity {
  readonly root: string;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** Equal for requests that mean the same files in the same order. */
export function identityOf(files: readonly FileIdentity[]): string {
  return JSON.stringify(files.map(({ root, path, size, sha256 }) => [root, path, size, sha256]));
}

export interface TargetContext {
  readonly ownIds: readonly string[];
  readonly formation: Formation;
  readonly connected: readonly FilePeer[];
}

/** The short ids of a list of nodes: short ids, endpoint ids or names. Faults name the entry. */
export function readNodeList(
  nodeIds: readonly string[],
  context: TargetContext,
): readonly string[] {
  const ids = nodeIds.map((text, index) => {
    const field = `scope.node_list.node_ids[${index}]`;
    const id = readNodeId(text, field, context);
    if (context.ownIds.includes(id)) throw invalid(`${field}: is this node`);
    return id;
  });
  return [...new Set(ids)];
}

function readNodeId(text: string, field: string, { formation, connected }: TargetContext): string {
  const lower = text.toLowerCase();
  if (isShortId(lower)) return lower;
  if (/^[0-9a-f]{64}$/.test(lower)) return lower.slice(0, 10);
  let name: NodeName;
  try {
    name = parseNodeName(text);
  } catch (cause) {
    const sentence = `${field}: must be the first 10 digits of an endpoint id, or a node's name`;
    throw new Fault("invalid_argument", sentence, {}, cause);
  }
  const peer = connected.find((known) => known.name === name);
  const id = peer?.id ?? formation.endpointIds(name)[0]?.id;
  if (id === undefined) throw invalid(`${field}: no id can be derived for it`);
  return shortId(id);
}
