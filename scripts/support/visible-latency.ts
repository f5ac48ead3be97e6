// How long a single write takes to be seen elsewhere: from before its PUT is sent until a WebSocket delivers the value.
import { type BrokerApi, Watcher } from "./broker-api.ts";

const ARRIVAL_LIMIT_MS = 30_000;

/** So many documents are written in turn: a write is a new one or changes one, as in life. */
const DOCUMENTS_WRITTEN = 100;

/** Documents that exist after so many single writes. */
export function documentsAfter(writes: number): number {
  return Math.min(writes, DOCUMENTS_WRITTEN);
}

export interface Latencies {
  /** Per watched node: ms from before the PUT is sent until its WebSocket has the value. */
  readonly perNode: readonly (readonly number[])[];
  /** ms until the last of them has it. */
  readonly onAll: readonly number[];
  /** ms until the PUT was answered. */
  readonly answered: readonly number[];
}

export interface LatencyOptions {
  readonly writer: BrokerApi;
  readonly watched: readonly BrokerApi[];
  readonly collection: string;
  readonly writes: number;
  /** Pause between two writes; 0 writes as soon as the last one is seen everywhere. */
  readonly pauseMs: number;
  readonly onWrite?: (written: number) => void;
}

async function limited<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} was not seen within ${ARRIVAL_LIMIT_MS / 1000} s`)),
      ARRIVAL_LIMIT_MS,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Writes one document after the other and waits for each to be delivered everywhere. */
export async function measureVisible(options: LatencyOptions): Promise<Latencies> {
  const { writer, collection, writes } = options;
  const watchers = await Promise.all(
    options.watched.map((node) => Watcher.open(node.url, collection)),
  );
  const perNode: number[][] = watchers.map(() => []);
  const onAll: number[] = [];
  const answered: number[] = [];
  try {
    for (let write = 0; write < writes; write += 1) {
      const id = `single-${write % DOCUMENTS_WRITTEN}`;
      const nonce = `${write}-${Math.random().toString(36).slice(2)}`;
      const arrivals = watchers.map((watcher) => watcher.valueOf(id, nonce));
      const sentMs = performance.now();
      const put = writer
        .put(collection, id, { nonce, text: `write ${write}`, at: Date.now() })
        .then(() => performance.now() - sentMs);
      const [answeredMs, atMs] = await limited(
        `${collection}/${id}`,
        Promise.all([put, Promise.all(arrivals)]),
      );
      answered.push(answeredMs);
      const tookMs = atMs.map((at) => at - sentMs);
      tookMs.forEach((ms, node) => {
        perNode[node]?.push(ms);
      });
      onAll.push(Math.max(...tookMs));
      options.onWrite?.(write + 1);
      if (options.pauseMs > 0) await Bun.sleep(options.pauseMs);
    }
  } finally {
    for (const watcher of watchers) watcher.close();
  }
  return { perNode, onAll, answered };
}
