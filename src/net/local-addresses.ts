// Noticing that this machine has other addresses: it has moved to another network, or a cable is back. The system would
// tell, but the transport's library keeps that to itself; asking takes a twentieth of a millisecond.
import type { NetworkInterfaceInfo } from "node:os";
import { type Clock, sleep, untilBeat } from "../base/clock.ts";
import { messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";

const log = getLog("peat_mesh::network::iroh_transport");

const LOOK_MS = 2_000;

export interface LocalAddressesOptions {
  readonly clock: Clock;
  readonly list: () => Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
  readonly changed: () => void;
}

/** Calls `changed` within two seconds of every change, until the signal. */
export async function watchLocalAddresses(
  { clock, list, changed }: LocalAddressesOptions,
  signal: AbortSignal,
): Promise<void> {
  let before = look(list);
  while (!signal.aborted) {
    await sleep(clock, untilBeat(clock, LOOK_MS), signal);
    const now = look(list) ?? before;
    if (now !== before && !signal.aborted) changed();
    before = now;
  }
}

/** Undefined where the system does not say: in some sandboxes, and when it is short of memory. */
function look(list: LocalAddressesOptions["list"]): string | undefined {
  try {
    return fingerprintOf(list());
  } catch (error) {
    log.debug("The addresses of this machine can't be listed", { cause: messageOf(error) });
    return undefined;
  }
}

/** Containers come and go on some machines, each with an interface that has but a link-local address. */
function fingerprintOf(table: ReturnType<LocalAddressesOptions["list"]>): string {
  return Object.entries(table)
    .flatMap(([name, infos]) => (infos ?? []).map((info) => ({ name, ...info })))
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
    .map(({ name, cidr, address }) => `${name} ${cidr ?? address}`)
    .sort()
    .join(", ");
}
