// bun scripts/network/wire.ts DEVICE DEVICE [FILE]: a cable between two Ethernet devices that it makes (TAP), slow, long and
// lossy as the last line of standard input says: {"bytesPerSecond":8000,"delayMs":300,"lossPercent":20}. The kernel's
// own netem is not everywhere. Devices that are moved to other network namespaces stay plugged in. What leaves by the
// second device is recorded in the file, in the form of capture.ts.
import { dlopen, FFIType, ptr } from "bun:ffi";
import { openSync, readSync, writeSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Random } from "../model/random.ts";
import { RECORDED_BYTES } from "./capture.ts";

export interface WireQuality {
  /** Of each direction; undefined: as quick as it goes. */
  readonly bytesPerSecond?: number;
  /** Of each direction. */
  readonly delayMs?: number;
  /** Of the frames of each direction, by chance. */
  readonly lossPercent?: number;
}

const TUNSETIFF = 0x400454ca;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const FRAME_BYTES_MAX = 65_536;
/** What waits for its turn at most, in time on the cable; more is lost, as in any router. */
const QUEUE_MS = 5_000;
const QUEUE_BYTES_MIN = 16 * 1024;
const DOWN_PAUSE_MS = 20;
const SEED = 20_261_121;

const libc = dlopen("libc.so.6", {
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
});

function makeDevice(name: string): number {
  const fd = openSync("/dev/net/tun", "r+");
  const request = Buffer.alloc(40);
  request.write(name, 0, "latin1");
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI, 16);
  if (libc.symbols.ioctl(fd, TUNSETIFF, ptr(request)) < 0) throw new Error(`no device ${name}`);
  return fd;
}

let quality: WireQuality = {};
const random = new Random(SEED);

/** One direction: frames leave in order, each when the cable is free, and arrive a delay later. */
class Direction {
  readonly #to: number;
  #freeAt = 0;

  constructor(from: number, to: number, record: (frame: Uint8Array) => void = () => undefined) {
    this.#to = to;
    new Worker(import.meta.path, { workerData: from }).on("message", (frame: Uint8Array) => {
      record(frame);
      this.#carry(frame);
    });
  }

  #carry(frame: Uint8Array): void {
    const { bytesPerSecond, delayMs = 0, lossPercent = 0 } = quality;
    const now = performance.now();
    if (random.below(10_000) < lossPercent * 100) return;
    if (bytesPerSecond !== undefined) {
      const waitsMs = Math.max(0, this.#freeAt - now);
      const queueMs = Math.max(QUEUE_MS, (QUEUE_BYTES_MIN * 1_000) / bytesPerSecond);
      if (waitsMs > queueMs) return;
      this.#freeAt = now + waitsMs + (frame.length * 1_000) / bytesPerSecond;
    } else this.#freeAt = now;
    const inMs = this.#freeAt + delayMs - now;
    if (inMs < 1) this.#deliver(frame);
    else setTimeout(() => this.#deliver(frame), inMs);
  }

  #deliver(frame: Uint8Array): void {
    try {
      writeSync(this.#to, frame);
    } catch {
      // A device that is down takes nothing: lost, as on any cable.
    }
  }
}

/** In a thread of its own, for a device can't be waited for together with others. */
function readFrames(fd: number): never {
  const frame = new Uint8Array(FRAME_BYTES_MAX);
  while (true) {
    try {
      const length = readSync(fd, frame);
      parentPort?.postMessage(frame.slice(0, length));
    } catch {
      // A device that is down has nothing; it comes up again, or this process ends.
      Bun.sleepSync(DOWN_PAUSE_MS);
    }
  }
}

async function obey(): Promise<void> {
  for await (const line of console) quality = JSON.parse(line) as WireQuality;
  process.exit(0);
}

function recorder(path: string): (frame: Uint8Array) => void {
  const file = openSync(path, "w");
  return (frame) => {
    const part = frame.subarray(0, RECORDED_BYTES);
    writeSync(file, Uint8Array.of(part.length >> 8, part.length & 255, ...part));
  };
}

if (!isMainThread) readFrames(workerData as number);
const [here = "", there = "", path] = process.argv.slice(2);
const [a, b] = [makeDevice(here), makeDevice(there)];
new Direction(a, b);
new Direction(b, a, path === undefined ? undefined : recorder(path));
console.log("plugged in");
await obey();
