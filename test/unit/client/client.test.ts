// Where the client goes on after a lost connection, said by a socket that tells what the test has written down.
import { expect, test } from "bun:test";
import { PeatClient } from "../../../src/client/client.ts";

const position = (token: string) => ({ type: "Position", token });
const change = (id: string, token: string) => ({
  type: "SyncEvent",
  collection: "c",
  doc_id: id,
  document: {},
  etag: "e",
  token,
});
const GAP = { type: "Gap", missed: null };

/** Each connection tells one of `scripts` and closes. */
function scripted(scripts: readonly (readonly object[])[]) {
  const asked: (string | null)[] = [];
  const left = [...scripts];
  class Socket extends EventTarget {
    constructor(url: string) {
      super();
      asked.push(new URL(url).searchParams.get("since"));
      const events = left.shift() ?? [];
      queueMicrotask(() => {
        this.dispatchEvent(new Event("open"));
        for (const event of events) {
          this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(event) }));
        }
        this.dispatchEvent(new Event("close"));
      });
    }

    close(): void {
      // It closes by itself.
    }
  }
  const client = new PeatClient({ webSocket: Socket as unknown as typeof WebSocket });
  return { asked, client };
}

async function take(client: PeatClient, count: number, since?: string): Promise<string[]> {
  const told: string[] = [];
  for await (const event of client.subscribe(since === undefined ? {} : { since })) {
    told.push(`${event.kind === "changed" ? event.id : event.kind} ${event.position}`);
    if (told.length === count) break;
  }
  return told;
}

test("a connection that is lost before it has told what was missed loses nothing of it", async () => {
  const { client, asked } = scripted([
    [position("p1"), change("a", "p2")],
    [position("p9")],
    [position("p9"), change("b", "p3")],
  ]);
  expect(await take(client, 3)).toEqual(["begin p1", "a p2", "b p3"]);
  expect(asked).toEqual([null, "p2", "p2"]);
});

test("a reader who names a position begins there, and after a gap where the node is", async () => {
  const { client, asked } = scripted([
    [position("p5")],
    [position("p6"), GAP],
    [position("p7"), change("a", "p7")],
  ]);
  expect(await take(client, 3, "p1")).toEqual(["begin p1", "lost p6", "a p7"]);
  expect(asked).toEqual(["p1", "p1", "p6"]);
});
