// What is told of the time that changes take to the peers: true of those that are followed, and bounded.
import { expect, test } from "bun:test";
import { parseNodeName } from "../../../src/identity/peer.ts";
import { SyncTimes } from "../../../src/sync/sync-times.ts";
import { key } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const [alpha, beta] = [parseNodeName("alpha"), parseNodeName("beta")];
const BOTH = () => [alpha, beta];

function world() {
  const clock = new VirtualClock();
  const times = new SyncTimes(clock);
  const commit = (id: string, origin?: string) => {
    const change = {
      key: key(id),
      hash: "00" as never,
      delta: new Uint8Array(),
      isWhole: false,
      origin,
    };
    times.committed([change], BOTH);
  };
  const acknowledge = (peer: typeof alpha, id: string, sentAt = clock.monotonic()) =>
    times.of(peer).acknowledged([key(id)], sentAt, 1);
  const converged = () => ({
    count: times.convergence.cumulated().at(-1),
    secs: times.convergence.sum,
  });
  return { clock, times, commit, acknowledge, converged };
}

test("a change has converged when the last connected peer has acknowledged it", async () => {
  const { clock, times, commit, acknowledge, converged } = world();
  commit("tracks:1");
  await clock.advance(200);
  acknowledge(alpha, "tracks:1");
  expect(converged()).toEqual({ count: 0, secs: 0 });
  expect([times.lagSecs(alpha), times.lagSecs(beta)]).toEqual([0, 0.2]);
  await clock.advance(300);
  acknowledge(beta, "tracks:1");
  expect(converged()).toEqual({ count: 1, secs: 0.5 });
  expect(times.lagSecs(beta)).toBe(0);
});

test("what was sent before the change is not taken for it", async () => {
  const { clock, commit, acknowledge, converged } = world();
  const before = clock.monotonic();
  await clock.advance(100);
  commit("tracks:1");
  acknowledge(alpha, "tracks:1", before);
  acknowledge(beta, "tracks:1", before);
  expect(converged().count).toBe(0);
});

test("a peer with equal sums has everything; one that is gone is waited for no longer", async () => {
  const { clock, times, commit, converged } = world();
  commit("tracks:1");
  await clock.advance(1_000);
  times.of(alpha).agreed();
  expect(converged().count).toBe(0);
  times.departed(beta);
  // Nobody can say when it would have arrived at the one that is gone.
  expect(converged().count).toBe(0);
  expect(times.lagSecs(beta)).toBe(0);
  commit("tracks:2");
  times.of(alpha).agreed();
  times.of(beta).agreed();
  expect(converged().count).toBe(1);
});

test("changes of peers are not followed, and none while nobody is connected", () => {
  const { times, commit, acknowledge, converged } = world();
  commit("tracks:1", "gamma");
  times.committed(
    [
      {
        key: key("tracks:2"),
        hash: "00" as never,
        delta: new Uint8Array(),
        isWhole: false,
        origin: undefined,
      },
    ],
    () => [],
  );
  for (const id of ["tracks:1", "tracks:2"]) {
    acknowledge(alpha, id);
    acknowledge(beta, id);
  }
  expect(converged().count).toBe(0);
});

test("however much is written, few changes are followed, and the oldest tells of the lag", async () => {
  const { clock, times, commit, converged } = world();
  for (let n = 0; n < 2_000; n += 1) {
    commit(`tracks:${n}`);
    await clock.advance(10);
  }
  expect(times.lagSecs(beta)).toBe(20);
  times.of(alpha).agreed();
  times.of(beta).agreed();
  expect(converged().count).toBe(64);
});
