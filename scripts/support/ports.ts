// Ports on loopback that are free now. Below the range from which the system takes ports for outgoing
// connections (32768 and more on Linux): our own clients would take them away before the node is started.

const FIRST = 20_000;
const LAST = 31_999;

let next = FIRST + Math.floor(Math.random() * (LAST - FIRST));

/** The next port that can be bound, never the same one twice in a row. */
async function free(bind: (port: number) => Promise<void>): Promise<number> {
  for (let tries = FIRST; tries <= LAST; tries += 1) {
    next = next === LAST ? FIRST : next + 1;
    try {
      await bind(next);
      return next;
    } catch {
      // Taken: the one after it.
    }
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free on 127.0.0.1`);
}

/** A free TCP port. */
export function freeTcpPort(): Promise<number> {
  return free(async (port) => {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
  });
}

/** A free UDP port. */
export function freeUdpPort(): Promise<number> {
  return free(async (port) => {
    (await Bun.udpSocket({ hostname: "127.0.0.1", port })).close();
  });
}
