// Emulated nodes of the older release over virtual time and a simulated network, and strangers that say to them
// whatever a test wants said.
import { Random } from "../../../scripts/model/random.ts";
import { MemoryNet } from "../memory-network.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { encodeFrame, type Frame, readFrame } from "./frame.ts";
import { GuestEmulator, type GuestOptions } from "./guest-emulator.ts";
import { endpointIdentity } from "./identity.ts";
import type { GuestEndpoint, GuestLink } from "./link.ts";
import { overMemory } from "./over-memory.ts";

/** More than a dial takes, and less than any period of the nodes. */
const MOMENT_MS = 100;

export class GuestWorld implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly secret = new Uint8Array(32).fill(7);
  readonly #random: Random;
  readonly net: MemoryNet;
  readonly #guests: GuestEmulator[] = [];
  #addresses = 0;

  constructor(seed = 1) {
    this.#random = new Random(seed);
    this.net = new MemoryNet({ clock: this.clock, random: this.#random });
  }

  #address(): string {
    this.#addresses += 1;
    return `10.0.0.${this.#addresses}:11204`;
  }

  async guest(name: string, options: Partial<GuestOptions> = {}): Promise<GuestEmulator> {
    const guest = await GuestEmulator.start({
      name,
      secret: this.secret,
      open: overMemory(this.net, this.#address()),
      clock: this.clock,
      random: this.#random.fill,
      ...options,
    });
    this.#guests.push(guest);
    return guest;
  }

  /** A peer without habits: it says only what it is told to, and answers nothing. */
  async stranger(name: string, secret = this.secret): Promise<Stranger> {
    const identity = endpointIdentity(secret, name);
    const endpoint = await overMemory(this.net, this.#address())(identity);
    return new Stranger(this, endpoint, identity.id);
  }

  async seconds(count: number): Promise<void> {
    await this.clock.advance(count * 1000);
  }

  async moment(): Promise<void> {
    await this.clock.advance(MOMENT_MS);
  }

  /** The result of `work`, with time going on until it is there. */
  async result<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    work.then(done, done);
    await this.clock.advanceUntil(() => isDone, 60_000, 1);
    if (!isDone) throw new Error("waited a minute in vain");
    return work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const guest of this.#guests) await guest.stop();
    await this.clock.advance(60_000);
  }
}

export class Stranger {
  readonly id: string;
  /** The first frame of each stream that was opened to it, over all its links. */
  readonly heard: Frame[] = [];
  readonly #world: GuestWorld;
  readonly #endpoint: GuestEndpoint;

  constructor(world: GuestWorld, endpoint: GuestEndpoint, id: string) {
    this.#world = world;
    this.#endpoint = endpoint;
    this.id = id;
  }

  /** Another link to the guest, whatever there is already. */
  async connect(guest: GuestEmulator): Promise<GuestLink> {
    const link = await this.dial(guest);
    void this.#listen(link);
    return link;
  }

  /** As connect(), without taking any stream. */
  dial({ id, addresses }: GuestEmulator): Promise<GuestLink> {
    return this.#world.result(this.#endpoint.connect({ id, addresses }));
  }

  async #listen(link: GuestLink): Promise<void> {
    for (let stream = await link.acceptBi(); stream !== undefined; stream = await link.acceptBi()) {
      const accepted = stream;
      const frame = await readFrame(accepted).catch(() => undefined);
      if (frame !== undefined) this.heard.push(frame);
    }
  }

  /** Frames on one stream of their own, each as soon as the one before has left. */
  async say(link: GuestLink, ...frames: readonly Frame[]): Promise<void> {
    const stream = await link.openBi();
    for (const frame of frames) await stream.write(encodeFrame(frame));
    await stream.finish();
    await this.#world.moment();
  }
}
