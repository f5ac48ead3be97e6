// A process of its own, so that the attackers' work is not in anybody's latencies: does what its parent tells it.
import type { Connection } from "@number0/iroh";
import { forEachBounded } from "../support/waiting.ts";
import { ATTACKS, type Attack, SILENCE } from "./attacks.ts";
import { Stranger, type Target } from "./stranger.ts";

/** Different keys and loopback addresses, as if from so many machines. */
const STRANGERS = 64;
const LANES = 48;
const SILENT_LANES = 200;

export interface MobOrder {
  readonly target: Target;
  /** Name of an attack. */
  readonly attack: string;
  readonly connections: number;
}

/** How many of the connections were refused before anything could be said. */
export interface MobReport {
  readonly refused: number;
}

async function attackOnce(
  stranger: Stranger,
  target: Target,
  { run, alpn }: Attack,
): Promise<"connected" | "refused"> {
  let connection: Connection;
  try {
    connection = await stranger.connect(target, alpn);
  } catch {
    // The node let nobody in, or has no such protocol: that is its answer.
    return "refused";
  }
  try {
    await run(connection);
  } catch {
    // Whatever it was doing, the node has closed the connection meanwhile.
  } finally {
    stranger.drop(connection);
  }
  return "connected";
}

async function obey(strangers: readonly Stranger[], order: MobOrder): Promise<MobReport> {
  const attack = ATTACKS.find(({ name }) => name === order.attack);
  if (attack === undefined) throw new Error(`no attack is called ${order.attack}`);
  const numbers = Array.from({ length: order.connections }, (_, n) => n);
  let refused = 0;
  const isSilence = attack.name === SILENCE;
  await forEachBounded(numbers, isSilence ? SILENT_LANES : LANES, async (n) => {
    // An endpoint's first connection comes by the address that it was told, later ones may all come by ::1: those that
    // are silent together would be too many from one source.
    const stranger = isSilence ? await open(n) : strangers[n % strangers.length];
    if (stranger === undefined) throw new Error("nobody is here");
    if ((await attackOnce(stranger, order.target, attack)) === "refused") refused += 1;
    if (isSilence) await stranger.close();
  });
  return { refused };
}

const open = (n: number) => Stranger.open({ bindAddress: `127.0.1.${(n % STRANGERS) + 1}:0` });
const strangers = await Promise.all(Array.from({ length: STRANGERS }, (_, n) => open(n)));
process.on("message", (order: MobOrder) => {
  obey(strangers, order).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
// Without its parent it has no reason to be.
process.on("disconnect", () => process.exit(0));
