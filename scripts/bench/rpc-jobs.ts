// What the bench asks of its RPC clients, and what they tell.

export type Job =
  | {
      readonly kind: "load";
      readonly port: number;
      readonly connections: number;
      readonly clients: number;
      readonly callsEach: number;
      /** Each client has so many documents of its own, and comes to them in turn. */
      readonly documentsEach: number;
      readonly call: "PutDocument" | "GetDocument";
    }
  | {
      readonly kind: "subscribers";
      readonly port: number;
      readonly connections: number;
      readonly subscribers: number;
      readonly puts: number;
      readonly pauseMs: number;
    };

export interface LoadResult {
  readonly calls: number;
  readonly failures: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly clientCpuSeconds: number;
}

export interface SubscribersResult {
  /** From the put to its answer, to the first subscriber that has it, and to the last. */
  readonly answered: readonly number[];
  readonly first: readonly number[];
  readonly all: readonly number[];
  readonly failures: number;
  readonly clientCpuSeconds: number;
}
