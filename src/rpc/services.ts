// All services of the listeners, and what they are made of.
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import type { Attachments } from "../attachments/service.ts";
import type { Clock } from "../base/clock.ts";
import { Room } from "../base/room.ts";
import type { Store } from "../store/store.ts";
import { attachmentCalls, subscribeBundle } from "./attachments.ts";
import { configCalls } from "./configs.ts";
import { documentCalls } from "./documents.ts";
import { Health } from "./gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { PeatSidecar } from "./gen/peat/sidecar/v1/sidecar_pb.ts";
import { healthCalls } from "./health.ts";
import { STREAMS_OPEN_MAX } from "./limits.ts";
import { Pace } from "./pace.ts";
import { type PeerParts, peerCalls } from "./peers.ts";
import { Reflection } from "./reflection.ts";
import { subscribe } from "./subscribe.ts";
import { typedCalls } from "./typed.ts";

export interface RpcParts extends PeerParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Undefined where files are neither sent nor received. */
  readonly files?: Attachments | undefined;
  /** Streams that clients may have open together. */
  readonly streamsMax?: number;
}

const SERVICES = [PeatSidecar, Health, ServerReflection, ServerReflectionAlpha];

/**
 * In front of the lenient ones: JSON of calls that keep what they are given. An enum's name or a field that is not
 * known would be left out, and something else be kept than was asked for: deletions by another policy, for one.
 */
function registerStrictly(router: ConnectRouter, calls: ServiceImpl<typeof PeatSidecar>): void {
  const options = { jsonOptions: { ignoreUnknownFields: false } };
  const { method } = PeatSidecar;
  router.rpc(method.setCollectionConfig, calls.setCollectionConfig, options);
  router.rpc(method.putNode, calls.putNode, options);
  router.rpc(method.putCell, calls.putCell, options);
  router.rpc(method.putTrack, calls.putTrack, options);
  router.rpc(method.putCommand, calls.putCommand, options);
  router.rpc(method.sendAttachments, calls.sendAttachments, options);
}

export class RpcServices {
  readonly #parts: RpcParts;
  readonly #streams: Room;

  constructor(parts: RpcParts) {
    this.#parts = parts;
    this.#streams = new Room(parts.streamsMax ?? STREAMS_OPEN_MAX, "streams are open already");
  }

  /** Streams that clients have open. */
  get openStreams(): number {
    return this.#streams.taken;
  }

  /** `stopping` aborts with a Fault when streams are to end. */
  register(router: ConnectRouter, stopping: AbortSignal): void {
    const { store, clock, isReady, files } = this.#parts;
    const pace = new Pace(clock);
    const reflection = new Reflection(SERVICES);
    const enterStream = () => this.#streams.enter();
    const names = SERVICES.map(({ typeName }) => typeName);
    const calls = {
      ...documentCalls(this.#parts),
      ...typedCalls(this.#parts),
      ...peerCalls(this.#parts, stopping),
      ...configCalls(this.#parts),
      ...attachmentCalls(files),
      subscribeAttachmentBundle: (request, { signal }) =>
        this.#counted(subscribeBundle(request, files, { signal, stopping })),
      subscribe: (request, { signal }) =>
        this.#counted(subscribe(request, { store, clock, pace }, { signal, stopping })),
    } satisfies ServiceImpl<typeof PeatSidecar>;
    router.service(PeatSidecar, calls);
    registerStrictly(router, calls);
    router.service(Health, healthCalls({ clock, isReady, names, stopping, enterStream }));
    router.service(ServerReflection, {
      serverReflectionInfo: (requests) => reflection.v1(requests),
    });
    router.service(ServerReflectionAlpha, {
      serverReflectionInfo: (requests) => reflection.v1alpha(requests),
    });
  }

  async *#counted<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    const leave = this.#streams.enter();
    try {
      yield* messages;
    } finally {
      leave();
    }
  }
}
