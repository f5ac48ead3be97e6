// Work for a client that may go before it is done.
import { expect, test } from "bun:test";
import { untilGone } from "../../../src/broker/until-gone.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function requestOf(signal: AbortSignal): Request {
  return new Request("http://localhost/", { signal });
}

/** Work that only its signal ends. */
const endless = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    const end = () => reject(signal.reason);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });

const outcome = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (fault) => `${fault.code}: ${fault.message}`,
  );

test("ends when the client goes, and where it has gone before the work began", async () => {
  const client = new AbortController();
  const going = outcome(untilGone(requestOf(client.signal), undefined, endless));
  client.abort();
  expect(await going).toBe("request_timeout: the client has gone");
  const gone = outcome(untilGone(requestOf(client.signal), undefined, endless));
  expect(await gone).toBe("request_timeout: the client has gone");
});

test("ends when its time is over, with the sentence for that", async () => {
  const clock = new VirtualClock();
  const deadline = { clock, requestMs: 1000, late: "it took too long" };
  const request = requestOf(new AbortController().signal);
  const late = outcome(untilGone(request, deadline, endless));
  await clock.advance(1001);
  expect(await late).toBe("request_timeout: it took too long");
});

test("gives what the work gives, and is not touched by what happens afterwards", async () => {
  const clock = new VirtualClock();
  const client = new AbortController();
  let given: AbortSignal | undefined;
  const deadline = { clock, requestMs: 1000, late: "late" };
  const answer = await untilGone(requestOf(client.signal), deadline, async (signal) => {
    given = signal;
    return 7;
  });
  expect(answer).toBe(7);
  client.abort();
  await clock.advance(2000);
  expect(given?.aborted).toBe(false);
});
