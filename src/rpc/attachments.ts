// Files between nodes: requests and answers of the four calls. Where nothing is sent, and nothing received, they are
// refused in the older sidecar's words.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  bytesTransferred,
  type Distribution,
  type NodeState,
  type Priority,
  type Progress,
  progressOf,
} from "../attachments/distribution.ts";
import type { Scope, SendRequest } from "../attachments/send-request.ts";
import type { Sender } from "../attachments/sender.ts";
import type { Attachments } from "../attachments/service.ts";
import type { Told } from "../attachments/watch.ts";
import { Fault } from "../base/faults.ts";
import { fieldFault } from "./fields.ts";
import {
  AttachmentPriority,
  type AttachmentProgressSchema,
  type DistributionScopeSpec,
  DistributionStatus,
  type NodeTransferStateSchema,
  type PeatSidecar,
  type SendAttachmentsRequest,
  type SubscribeAttachmentBundleRequest,
} from "./gen/peat/sidecar/v1/sidecar_pb.ts";

type AttachmentCalls = Pick<
  ServiceImpl<typeof PeatSidecar>,
  "sendAttachments" | "getAttachmentDistribution" | "cancelAttachmentDistribution"
>;

const STATUSES: Readonly<Record<Progress, DistributionStatus>> = {
  pending: DistributionStatus.PENDING,
  in_progress: DistributionStatus.IN_PROGRESS,
  completed: DistributionStatus.COMPLETED,
  failed: DistributionStatus.FAILED,
  cancelled: DistributionStatus.CANCELLED,
};

const NODE_STATUSES: Readonly<Record<NodeState["status"], DistributionStatus>> = {
  transferring: DistributionStatus.IN_PROGRESS,
  completed: DistributionStatus.COMPLETED,
  failed: DistributionStatus.FAILED,
};

/** Of a client that knows more priorities than we do, its wish can't be kept. */
function readPriority(priority: AttachmentPriority): Priority | undefined {
  switch (priority) {
    case AttachmentPriority.UNSPECIFIED:
      return undefined;
    case AttachmentPriority.BULK:
      return "bulk";
    case AttachmentPriority.LOW:
      return "low";
    case AttachmentPriority.ROUTINE:
      return "routine";
    case AttachmentPriority.PRIORITY:
      return "priority";
    case AttachmentPriority.CRITICAL:
      return "critical";
    default:
      throw fieldFault("priority", `${Number(priority)} is not one of 0 to 5`);
  }
}

function readScope(spec: DistributionScopeSpec | undefined): Scope | undefined {
  switch (spec?.scope.case) {
    case undefined:
      return undefined;
    case "allNodes":
      return { kind: "all" };
    case "nodeList":
      return { kind: "list", nodeIds: spec.scope.value.nodeIds };
    case "formation":
      return { kind: "formation" };
    case "capable":
      return { kind: "capable" };
  }
}

function readRequest({ files, scope, priority, bundleId }: SendAttachmentsRequest): SendRequest {
  return { files, scope: readScope(scope), priority: readPriority(priority), bundleId };
}

function printNode(
  nodeId: string,
  state: NodeState | undefined,
): MessageInitShape<typeof NodeTransferStateSchema> {
  const status = state === undefined ? DistributionStatus.PENDING : NODE_STATUSES[state.status];
  return { nodeId, status, bytesTransferred: BigInt(state?.bytes ?? 0) };
}

/** Why it failed: the sender's word, or each node's. */
function errorOf({ error, nodes }: Distribution): { readonly error?: string } {
  const told = [...nodes].flatMap(([id, state]) =>
    state.error === undefined ? [] : [`${id}: ${state.error}`],
  );
  const text = error ?? told.join("; ");
  return text === "" ? {} : { error: text };
}

function amounts(distribution: Distribution) {
  return {
    status: STATUSES[progressOf(distribution)],
    bytesTransferred: BigInt(bytesTransferred(distribution)),
    bytesTotal: BigInt(distribution.size),
    ...errorOf(distribution),
  };
}

function printTold({
  distribution,
  changed,
}: Told): MessageInitShape<typeof AttachmentProgressSchema> {
  return {
    distributionId: distribution.id,
    blobToken: distribution.hash,
    ...amounts(distribution),
    ...(changed === undefined ? {} : { changedNode: printNode(changed.id, changed.state) }),
  };
}

function notOffered(call: string): Fault {
  return new Fault("not_offered", `${call} requires --attachment-root to be configured`);
}

function senderOf(call: string, files: Attachments | undefined): Sender {
  if (files?.sender === undefined) throw notOffered(call);
  return files.sender;
}

export function attachmentCalls(files: Attachments | undefined): AttachmentCalls {
  return {
    async sendAttachments(request, { signal }) {
      const sender = senderOf("SendAttachments", files);
      const { bundleId, distributions } = await sender.send(readRequest(request), signal);
      const handles = distributions.map(({ fileIndex, hash, id }) => ({
        fileIndex,
        blobToken: hash,
        distributionId: id,
      }));
      return { bundleId, handles };
    },

    getAttachmentDistribution({ distributionId }) {
      if (files === undefined) throw notOffered("GetAttachmentDistribution");
      const distribution = files.distribution(distributionId);
      const { targets, nodes } = distribution;
      return {
        ...amounts(distribution),
        perNode: targets.map((id) => printNode(id, nodes.get(id))),
      };
    },

    async cancelAttachmentDistribution({ distributionId }) {
      const sender = senderOf("CancelAttachmentDistribution", files);
      return { wasCancelled: await sender.cancel(distributionId) };
    },
  };
}

/**
 * Each distribution of the bundle as it is, then as it changes, until all are over. Ends quietly when `signal` aborts.
 * Faults: not_offered, distribution_not_found; not_ready when `stopping` aborts.
 */
export async function* subscribeBundle(
  { bundleId }: SubscribeAttachmentBundleRequest,
  files: Attachments | undefined,
  { signal, stopping }: { readonly signal: AbortSignal; readonly stopping: AbortSignal },
): AsyncIterable<MessageInitShape<typeof AttachmentProgressSchema>> {
  const watch = senderOf("SubscribeAttachmentBundle", files).watch(bundleId);
  const over = AbortSignal.any([signal, stopping]);
  const close = () => watch.close();
  over.addEventListener("abort", close, { once: true });
  if (over.aborted) close();
  try {
    for (let told = await watch.take(); told !== undefined; told = await watch.take()) {
      yield printTold(told);
    }
    if (stopping.aborted && !signal.aborted) {
      throw new Fault("not_ready", "the node is stopping");
    }
  } finally {
    over.removeEventListener("abort", close);
    close();
  }
}
