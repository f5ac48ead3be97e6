// The exchange of files beside that of documents: what the settings ask for, opened, and the peers that both share.

import type { FilePeer, FilePeers } from "./attachments/peers.ts";
import type { Attachments, AttachmentsOptions } from "./attachments/service.ts";
import { systemClock } from "./base/clock.ts";
import { buildInfo } from "./build-info.ts";
import { DialError, type Network } from "./net/link.ts";
import type { Coordinator } from "./sync/coordinator.ts";
import type { Session } from "./sync/session.ts";
import { ALPN_ATTACHMENT, FEATURE_RECEIVES_FILES } from "./wire/attachment.ts";

/** The rows of the settings table that this is made of. */
export interface FileSettings {
  readonly nodeName: AttachmentsOptions["nodeName"];
  readonly dataDir: string;
  readonly attachmentRoots: AttachmentsOptions["roots"];
  readonly attachmentInbox: string | undefined;
  readonly attachmentMaxFileBytes: number;
  readonly attachmentMaxBundleBytes: number;
  readonly attachmentMaxFilesPerBundle: number;
  readonly attachmentMaxNodeListLen: number;
  readonly attachmentMaxConcurrentDistributions: number;
  readonly attachmentSpareBytes: number;
  readonly attachmentDefaultPriority: AttachmentsOptions["defaultPriority"];
  readonly attachmentDiscoveryGraceSecs: number;
  readonly attachmentHandleRetentionSecs: number;
  readonly attachmentOutboxWatch: boolean;
  readonly attachmentOutboxPollSecs: number;
}

/** What is served beside the protocols of documents. */
export function fileAlpns({ attachmentRoots }: FileSettings): readonly string[] {
  return attachmentRoots.length > 0 ? [ALPN_ATTACHMENT] : [];
}

/** What the hello of a node with these settings says. */
export function fileFeatures({ attachmentInbox }: FileSettings): number {
  return attachmentInbox === undefined ? 0 : FEATURE_RECEIVES_FILES;
}

/** The peers of the coordinator; they are dialled where it permits. */
function filePeersOf(coordinator: Coordinator, network: Network): FilePeers {
  const gate = coordinator.orders.gate(network);
  return {
    connected: () => coordinator.sessions.map(toFilePeer),
    onChange: (listener) => coordinator.onPeer(listener),
    dial: async (peer, alpn) => {
      const session = coordinator.sessions.find(({ name }) => name === peer.name);
      if (session === undefined) throw new DialError("it is not connected", "other");
      const { kind, address } = session.link.path();
      const isDirect = kind === "direct" && address !== undefined;
      const sought = coordinator.sought().find(({ ids }) => ids.includes(peer.id));
      const relay = sought?.relayUrl === undefined ? {} : { relayUrl: sought.relayUrl };
      return await gate.dial({ id: peer.id, addresses: isDirect ? [address] : [], ...relay }, alpn);
    },
  };
}

function toFilePeer({ name, link, member }: Session): FilePeer {
  const takesFiles = (member.hello.features & FEATURE_RECEIVES_FILES) !== 0;
  return { name, id: link.remoteId, takesFiles };
}

interface FileParts extends Pick<AttachmentsOptions, "store" | "formation"> {
  readonly coordinator: Coordinator;
  readonly network: Network;
}

/** Undefined where nothing is sent and nothing received. Fault `settings_invalid` for folders that can't be used. */
export async function openFiles(
  settings: FileSettings,
  parts: FileParts,
): Promise<Attachments | undefined> {
  const { coordinator, network, store, formation } = parts;
  const { nodeName, attachmentRoots: roots, attachmentInbox: inbox } = settings;
  if (roots.length === 0 && inbox === undefined) return undefined;
  // Loaded only where it is used.
  const { Attachments } = await import("./attachments/service.ts");
  return await Attachments.open({
    store,
    formation,
    nodeName,
    clock: systemClock,
    random: Math.random,
    peers: filePeersOf(coordinator, network),
    hello: {
      name: nodeName,
      version: buildInfo.version,
      start: store.start,
      policies: store.policies.fingerprint,
      features: fileFeatures(settings),
    },
    roots,
    inbox,
    folder: settings.dataDir,
    outboxPollSecs: settings.attachmentOutboxWatch ? settings.attachmentOutboxPollSecs : undefined,
    spareBytes: settings.attachmentSpareBytes,
    limits: {
      fileBytesMax: settings.attachmentMaxFileBytes,
      bundleBytesMax: settings.attachmentMaxBundleBytes,
      filesMax: settings.attachmentMaxFilesPerBundle,
      nodeListMax: settings.attachmentMaxNodeListLen,
      unfinishedMax: settings.attachmentMaxConcurrentDistributions,
    },
    defaultPriority: settings.attachmentDefaultPriority,
    graceSecs: settings.attachmentDiscoveryGraceSecs,
    retentionSecs: settings.attachmentHandleRetentionSecs,
  });
}
