// The other end of sd_notify(3): a Unix datagram socket that keeps what it is sent, as a service manager's.
import { dlopen, ptr } from "bun:ffi";
import { waitFor } from "../../scripts/support/waiting.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "usize", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
});

const MSG_DONTWAIT = 0x40;

export class NotifyListener implements Disposable {
  readonly #socket: number;
  readonly #seen: string[] = [];

  /** `name` is a path, or `@` and an abstract name. */
  constructor(name: string) {
    const path = Buffer.from(name.startsWith("@") ? `\0${name.slice(1)}` : name);
    const address = Buffer.concat([Buffer.from([1, 0]), path]);
    this.#socket = libc.socket(1, 2, 0);
    if (libc.bind(this.#socket, ptr(address), address.length) !== 0) {
      throw new Error(`can't bind ${name}`);
    }
  }

  /** Every datagram so far. */
  get seen(): readonly string[] {
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const bytes = Number(libc.recv(this.#socket, ptr(buffer), buffer.length, MSG_DONTWAIT));
      if (bytes < 0) return this.#seen;
      this.#seen.push(new TextDecoder().decode(buffer.subarray(0, bytes)));
    }
  }

  /** The first datagram for which `isIt`; fails after `limitMs`. */
  async until(isIt: (text: string) => boolean, limitMs: number): Promise<string> {
    return await waitFor(`a datagram among ${JSON.stringify(this.seen)}`, limitMs, () =>
      this.seen.find(isIt),
    );
  }

  [Symbol.dispose](): void {
    libc.close(this.#socket);
  }
}
