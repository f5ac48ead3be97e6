// grpc.health.v1: whether this node is ready, by the same checks as the broker's /ready.
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { type Clock, sleep } from "../base/clock.ts";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "./gen/grpc/health/v1/health_pb.ts";

/** Between two looks at readiness for whoever watches. */
const LOOK_MS = 500;

export interface HealthParts {
  readonly clock: Clock;
  readonly isReady: () => boolean;
  /** Names of the services that are told of; "" is the whole process. */
  readonly names: readonly string[];
  /** Aborts when the node stops. */
  readonly stopping: AbortSignal;
  /** Counts a stream; throws when there are too many. Ends with the returned function. */
  readonly enterStream: () => () => void;
}

export function healthCalls(parts: HealthParts): ServiceImpl<typeof Health> {
  const names = new Set(["", ...parts.names]);
  const status = () => (parts.isReady() ? Status.SERVING : Status.NOT_SERVING);
  return {
    check({ service }) {
      if (names.has(service)) return { status: status() };
      const shown = JSON.stringify(service.slice(0, 200));
      throw new ConnectError(`service: there is no ${shown} here`, Code.NotFound);
    },

    list() {
      return {
        statuses: Object.fromEntries([...names].map((name) => [name, { status: status() }])),
      };
    },

    async *watch({ service }, { signal }: HandlerContext) {
      const leave = parts.enterStream();
      try {
        const isKnown = names.has(service);
        let told: Status | undefined;
        const over = AbortSignal.any([signal, parts.stopping]);
        while (!over.aborted) {
          const now = isKnown ? status() : Status.SERVICE_UNKNOWN;
          if (now !== told) yield { status: now };
          told = now;
          await sleep(parts.clock, LOOK_MS, over);
        }
        if (signal.aborted) return;
        if (told === Status.SERVING) yield { status: Status.NOT_SERVING };
        parts.stopping.throwIfAborted();
      } finally {
        leave();
      }
    },
  };
}
