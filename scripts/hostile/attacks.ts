// What a stranger may do to a node: one function per idea, each with one connection.
import type { Connection } from "@number0/iroh";
import { ALPN_GUEST } from "../../src/wire/hello.ts";
import { FRAME_OVERHEAD_BYTES } from "../../src/wire/limits.ts";
import { endOf, helloFrame } from "./stranger.ts";

export interface Attack {
  readonly name: string;
  /** Resolves when the attacker is done or thrown out. */
  readonly run: (connection: Connection) => Promise<void>;
  readonly alpn?: string;
}

/** Nobody is waited for longer than this: a node gives a stranger ten seconds. */
const PATIENCE_MS = 15_000;
const LEAVES_AFTER_MS = 100;

async function say(connection: Connection, bytes: Uint8Array): Promise<void> {
  const stream = await connection.openBi();
  await stream.send.writeAll([...bytes]);
}

/** Until the node closes the connection, as long as anybody's patience. */
async function untilThrownOut(connection: Connection): Promise<void> {
  await Promise.race([endOf(connection), Bun.sleep(PATIENCE_MS)]);
}

function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

const header = (payloadBytes: readonly number[]) => Uint8Array.of(0, 0, 0x20, ...payloadBytes);

function saying(name: string, bytes: () => Uint8Array): Attack {
  return {
    name,
    run: async (connection) => {
      await say(connection, bytes());
      await untilThrownOut(connection);
    },
  };
}

/** Opens streams and fills each as far as the transport lets it. */
async function flood(connection: Connection, isOneWay: boolean): Promise<void> {
  const block = new Array<number>(64 * 1024).fill(0x55);
  const streams = Array.from({ length: 90 }, async () => {
    const send = isOneWay ? await connection.openUni() : (await connection.openBi()).send;
    for (let n = 0; n < 16; n += 1) await send.writeAll(block);
  });
  await Promise.race([Promise.allSettled(streams), untilThrownOut(connection)]);
  await untilThrownOut(connection);
}

export const SILENCE = "says nothing until it is thrown out";

/** What half of all connections are: it costs the node more than any other word. */
export const COSTLIEST = "a valid hello of another secret";

/** Each but silence is over as soon as the node has heard enough. */
export const ATTACKS: readonly Attack[] = [
  { name: SILENCE, run: untilThrownOut },
  {
    name: "leaves without a word",
    run: async (connection) => {
      await Promise.race([endOf(connection), Bun.sleep(LEAVES_AFTER_MS)]);
    },
  },
  saying("garbage", () => randomBytes(FRAME_OVERHEAD_BYTES + Math.floor(Math.random() * 4096))),
  saying("HTTP", () =>
    new TextEncoder().encode("GET /api/v1/documents HTTP/1.1\r\nHost: x\r\n\r\n"),
  ),
  saying("a hello of four gigabytes", () => header([255, 255, 255, 255])),
  saying("a hello one byte too long", () => header([0, 0, 4, 1])),
  saying("a hello full of garbage", () =>
    Uint8Array.of(...header([0, 0, 4, 0]), ...randomBytes(1024)),
  ),
  {
    name: "half a hello, then leaves",
    run: async (connection) => {
      const hello = helloFrame("node-0");
      await say(connection, hello.subarray(0, 1 + Math.floor(Math.random() * (hello.length - 1))));
      await Promise.race([endOf(connection), Bun.sleep(LEAVES_AFTER_MS)]);
    },
  },
  saying("a name that nobody may have", () => helloFrame("../../etc/passwd\n\u001b[31m")),
  saying(COSTLIEST, () => helloFrame(`node-${Math.floor(Math.random() * 1e9)}`)),
  {
    name: "90 streams of 1 MiB",
    run: async (connection) => {
      await flood(connection, false);
    },
  },
  {
    name: "90 one-way streams of 1 MiB",
    run: async (connection) => {
      await flood(connection, true);
    },
  },
  { name: "the older protocol", alpn: ALPN_GUEST, run: untilThrownOut },
];
