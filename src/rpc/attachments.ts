// Files between nodes: not part of this version, which is said as a node says it that has no attachment root.
import type { ServiceImpl } from "@connectrpc/connect";
import { Fault } from "../base/faults.ts";
import type { PeatSidecar } from "./gen/peat/sidecar/v1/sidecar_pb.ts";

type AttachmentCalls = Pick<
  ServiceImpl<typeof PeatSidecar>,
  | "sendAttachments"
  | "getAttachmentDistribution"
  | "subscribeAttachmentBundle"
  | "cancelAttachmentDistribution"
>;

function refuse(call: string): never {
  throw new Fault("not_offered", `${call} requires --attachment-root to be configured`);
}

export const attachmentCalls: AttachmentCalls = {
  sendAttachments: () => refuse("SendAttachments"),
  getAttachmentDistribution: () => refuse("GetAttachmentDistribution"),
  subscribeAttachmentBundle: () => refuse("SubscribeAttachmentBundle"),
  cancelAttachmentDistribution: () => refuse("CancelAttachmentDistribution"),
};
