// A hostile neighbour on the mDNS group: garbage, damaged packets, floods of questions, invented
// services.   bun mdns-spam.ts OWN_ADDRESS TAG
import { createSocket } from "node:dgram";

export type SpamArguments = readonly [ownAddress: string, tag: string];

const [address = "", tag = ""] = process.argv.slice(2);
const TYPE = ["_peat", "_udp", "local"];
const socket = createSocket({ type: "udp4", reuseAddr: true });
await new Promise<void>((resolve) => socket.bind(0, address, resolve));
socket.setMulticastInterface(address);

function send(bytes: Uint8Array): Promise<void> {
  // A full send buffer is no reason to stop.
  return new Promise((resolve) => socket.send(bytes, 5353, "224.0.0.251", () => resolve()));
}

const nameBytes = (labels: readonly string[]) =>
  Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);

function record(labels: readonly string[], type: number, data: Uint8Array, ttl = 4500): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([nameBytes(labels), head, data]);
}

function response(records: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0x8400, 2);
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, ...records]);
}

function txt(...texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.map((text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])),
  );
}

function service(name: string, text: Buffer | undefined, port = 4242): Buffer {
  const instance = [`peat-${name}`, ...TYPE];
  const target = Buffer.concat([
    Buffer.from([0, 0, 0, 0, port >> 8, port & 255]),
    nameBytes([name, "local"]),
  ]);
  const records = [
    record(TYPE, 12, nameBytes(instance)),
    record(instance, 33, target, 120),
    record([name, "local"], 1, Buffer.from([10, 77, 5, 66]), 120),
  ];
  if (text !== undefined) records.push(record(instance, 16, text));
  return response(records);
}

let seed = 7;
const random = (below: number) => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) % below;
};

for (let i = 0; i < 2000; i += 1) {
  await send(Uint8Array.from({ length: random(1400) }, () => random(256)));
}
const good = service("victim", txt("node_id=victim", `formation=${tag}`));
for (let i = 0; i < 2000; i += 1) {
  const damaged = Buffer.from(good);
  for (let n = 0; n < 1 + random(6); n += 1) damaged[random(damaged.length)] = random(256);
  await send(damaged.subarray(0, 1 + random(damaged.length)));
}
const questions = Buffer.alloc(12);
questions.writeUInt16BE(500, 4);
const question = Buffer.concat([nameBytes(TYPE), Buffer.from([0, 12, 0, 1])]);
const again = Array.from({ length: 499 }, () => Buffer.from([0xc0, 12, 0, 12, 0, 1]));
for (let i = 0; i < 200; i += 1) await send(Buffer.concat([questions, question, ...again]));
for (let i = 0; i < 100; i += 1) {
  await send(service(`huge-${i}`, txt(...Array.from({ length: 30 }, () => "x".repeat(255)))));
  await send(service(`mute-${i}`, undefined));
  await send(service(`port-${i}`, txt(`node_id=port-${i}`), 0));
}
for (let i = 0; i < 10_000; i += 1) {
  await send(service(`fake-${i}`, txt(`node_id=fake-${i}`, `formation=${tag}`)));
}
socket.close();
