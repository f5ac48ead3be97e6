// What every Network, Link and ByteStream has to do, whoever carries the bytes.
import { describe, expect, test } from "bun:test";
import { systemClock, within } from "../../src/base/clock.ts";
import type { EndpointId } from "../../src/identity/peer.ts";
import { type ByteStream, DialError, type Link, type Network } from "../../src/net/link.ts";

/** Opens a network of its own identity on loopback, for these protocols. */
export type OpenNetwork = (alpns: readonly string[]) => Promise<Network>;

const ALPN = "peat-test/1";
/** Dialled by nobody here, so that a wrong protocol has a right one beside it. */
const OTHER_ALPN = "peat-test/2";
const DEADLINE_MS = 20_000;
const STRANGER = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29" as EndpointId;

async function soon<T>(work: Promise<T>): Promise<T> {
  const late = Symbol("late");
  const result = await within(systemClock, DEADLINE_MS, work, late);
  if (result === late) throw new Error(`not done within ${DEADLINE_MS} ms`);
  return result as T;
}

class Pair implements AsyncDisposable {
  readonly a: Network;
  readonly b: Network;

  constructor(a: Network, b: Network) {
    this.a = a;
    this.b = b;
  }

  /** One link from a to b. */
  async link(): Promise<{ out: Link; in: Link }> {
    const target = { id: this.b.id, addresses: this.b.boundAddresses };
    const [out, incoming] = await soon(Promise.all([this.a.dial(target, ALPN), this.accept()]));
    return { out, in: incoming };
  }

  async accept(): Promise<Link> {
    const incoming = await this.b.nextIncoming();
    if (incoming === undefined) throw new Error("closed");
    return incoming.accept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a.close(), this.b.close()]);
  }
}

/** Sends one byte first, so that the stream is there for the peer. */
async function openStreams(link: {
  out: Link;
  in: Link;
}): Promise<{ out: ByteStream; in: ByteStream }> {
  const out = await soon(link.out.openStream());
  await soon(out.write(Uint8Array.of(1)));
  const accepted = await soon(link.in.acceptStream());
  if (accepted === undefined) throw new Error("no stream came");
  expect(await soon(accepted.read(1))).toEqual(Uint8Array.of(1));
  return { out, in: accepted };
}

async function readAll(stream: ByteStream, bytesMax = 5_000): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const part = await soon(stream.read(bytesMax));
    if (part === undefined) return new Uint8Array(Buffer.concat(parts));
    expect(part.length).toBeGreaterThan(0);
    expect(part.length).toBeLessThanOrEqual(bytesMax);
    parts.push(part);
  }
}

function numbered(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await soon(
    work.then(
      () => undefined,
      (error: unknown) => error ?? "rejected",
    ),
  );
}

export function linkContract(name: string, open: OpenNetwork): void {
  const openPair = async () => new Pair(await open([ALPN]), await open([ALPN, OTHER_ALPN]));

  describe(`${name}: dialling`, () => {
    test("gives both ends a link that knows the other's proved id, the protocol, and who dialled", async () => {
      await using pair = await openPair();
      const link = await pair.link();
      expect([link.out.remoteId, link.in.remoteId]).toEqual([pair.b.id, pair.a.id]);
      expect([link.out.alpn, link.in.alpn]).toEqual([ALPN, ALPN]);
      expect([link.out.direction, link.in.direction]).toEqual(["outgoing", "incoming"]);
      // Of several addresses of an endpoint, the transport may prefer any.
      expect(pair.b.boundAddresses).toContain(link.out.path().address ?? "");
    });

    test("a peer without the protocol fails, and says that this is the reason", async () => {
      await using pair = await openPair();
      void soon(pair.accept()).catch(() => undefined);
      const target = { id: pair.b.id, addresses: pair.b.boundAddresses };
      const failure = await failureOf(pair.a.dial(target, "peat-test/9"));
      expect(failure).toBeInstanceOf(DialError);
      expect(failure).toMatchObject({ kind: "no protocol" });
    });

    test("an address where another endpoint answers fails, and says that it is somebody else", async () => {
      await using pair = await openPair();
      void soon(pair.accept()).catch(() => undefined);
      const failure = await failureOf(
        pair.a.dial({ id: STRANGER, addresses: pair.b.boundAddresses }, ALPN),
      );
      expect(failure).toBeInstanceOf(DialError);
      expect(failure).toMatchObject({ kind: "stranger" });
    });

    test("a refused attempt fails", async () => {
      await using pair = await openPair();
      const target = { id: pair.b.id, addresses: pair.b.boundAddresses };
      const dialled = failureOf(pair.a.dial(target, ALPN));
      const incoming = await soon(pair.b.nextIncoming());
      expect(pair.a.boundAddresses).toContain(incoming?.remoteAddress ?? "");
      await incoming?.refuse();
      expect(await dialled).toBeInstanceOf(DialError);
    });

    test("an attempt that is asked to come again does, and is known to hear us", async () => {
      await using pair = await openPair();
      const target = { id: pair.b.id, addresses: pair.b.boundAddresses };
      const dialled = soon(pair.a.dial(target, ALPN));
      const first = await soon(pair.b.nextIncoming());
      expect(first?.isHeard).toBe(false);
      await first?.retry();
      let second = await soon(pair.b.nextIncoming());
      // Of one that had asked twice before it heard the answer.
      for (let more = 0; second?.isHeard === false && more < 3; more += 1) {
        await second.retry();
        second = await soon(pair.b.nextIncoming());
      }
      expect(second?.isHeard).toBe(true);
      expect(second?.remoteAddress).toBe(first?.remoteAddress ?? "");
      const accepted = await second?.accept();
      expect(accepted?.remoteId).toBe(pair.a.id);
      expect((await dialled).remoteId).toBe(pair.b.id);
    });
  });

  describe(`${name}: a stream`, () => {
    test("is seen by the peer once something was written to it, not before", async () => {
      await using pair = await openPair();
      const link = await pair.link();
      const silent = await soon(link.out.openStream());
      let isSeen = false;
      const arrival = link.in.acceptStream().then((stream) => {
        isSeen = true;
        return stream;
      });
      // There and back on a stream of the other direction: news of the first had all the time to arrive.
      const other = await openStreams({ out: link.in, in: link.out });
      await soon(other.in.write(Uint8Array.of(6)));
      expect(await soon(other.out.read(10))).toEqual(Uint8Array.of(6));
      expect(isSeen).toBe(false);
      await soon(silent.write(Uint8Array.of(7)));
      const accepted = await soon(arrival);
      expect(await soon(accepted?.read(10) ?? Promise.resolve(undefined))).toEqual(
        Uint8Array.of(7),
      );
    });

    test("carries bytes both ways, whole and in order, and ends where it was finished", async () => {
      await using pair = await openPair();
      const stream = await openStreams(await pair.link());
      const [there, back] = [numbered(300_000), numbered(70_000).reverse()];
      const writeAll = async (end: ByteStream, bytes: Uint8Array) => {
        for (let at = 0; at < bytes.length; at += 9_999)
          await soon(end.write(bytes.subarray(at, at + 9_999)));
        await soon(end.finish());
      };
      const [, , gotThere, gotBack] = await Promise.all([
        writeAll(stream.out, there),
        writeAll(stream.in, back),
        readAll(stream.in),
        readAll(stream.out, 777),
      ]);
      expect(Buffer.compare(gotThere, there)).toBe(0);
      expect(Buffer.compare(gotBack, back)).toBe(0);
    });

    test("does not keep the caller's buffer: what is changed after the write has begun is not sent", async () => {
      await using pair = await openPair();
      const stream = await openStreams(await pair.link());
      const buffer = Uint8Array.of(1, 2, 3);
      const write = stream.out.write(buffer);
      buffer.fill(9);
      await soon(write);
      await soon(stream.out.finish());
      expect(await readAll(stream.in)).toEqual(Uint8Array.of(1, 2, 3));
    });

    test("holds its writer back while nobody reads, and only its own", async () => {
      await using pair = await openPair();
      const link = await pair.link();
      const [slow, quick] = [await openStreams(link), await openStreams(link)];
      const part = new Uint8Array(256 * 1024);
      const parts = 32;
      let taken = 0;
      const writing = (async () => {
        for (; taken < parts; taken += 1) await slow.out.write(part);
        await slow.out.finish();
      })();
      // By the time the other stream has carried this much, the first would long be through.
      const payload = numbered(200_000);
      const [, got] = await Promise.all([
        soon(quick.out.write(payload).then(() => quick.out.finish())),
        readAll(quick.in, 64 * 1024),
      ]);
      expect(Buffer.compare(got, payload)).toBe(0);
      expect(taken).toBeLessThan(parts);
      const all = await readAll(slow.in, 256 * 1024);
      await soon(writing);
      expect(all.length).toBe(parts * part.length);
    });

    test("that its reader stopped fails its writer", async () => {
      await using pair = await openPair();
      const stream = await openStreams(await pair.link());
      await soon(stream.in.stop(3));
      const writeOn = async () => {
        for (let i = 0; i < 1_000; i += 1) await stream.out.write(new Uint8Array(10_000));
      };
      expect(await failureOf(writeOn())).toBeDefined();
    });
  });

  describe(`${name}: the end`, () => {
    test("both ends hear by whom, with which code and words; a second close changes nothing", async () => {
      await using pair = await openPair();
      const link = await pair.link();
      link.out.close(42, "because");
      link.out.close(43, "again");
      expect(await soon(link.in.ended)).toEqual({ by: "peer", code: 42, reason: "because" });
      expect(await soon(link.out.ended)).toEqual({ by: "us", code: 42, reason: "because" });
    });

    test("whoever waits is let go: accepts end, reads and writes fail, at both ends", async () => {
      await using pair = await openPair();
      const link = await pair.link();
      const stream = await openStreams(link);
      const waiting = {
        accepts: [link.out.acceptStream(), link.in.acceptStream()],
        reads: [failureOf(stream.out.read(10)), failureOf(stream.in.read(10))],
      };
      link.in.close(0, "");
      expect(await soon(Promise.all(waiting.accepts))).toEqual([undefined, undefined]);
      for (const failure of await Promise.all(waiting.reads)) expect(failure).toBeDefined();
      await soon(Promise.all([link.in.ended, link.out.ended]));
      expect(await failureOf(stream.out.write(Uint8Array.of(1)))).toBeDefined();
      expect(await failureOf(stream.in.write(Uint8Array.of(1)))).toBeDefined();
      expect(await failureOf(link.out.openStream())).toBeDefined();
    });

    test("of a network ends its links, and the wait for the next one", async () => {
      await using pair = await openPair();
      const link = await pair.link();
      const next = pair.b.nextIncoming();
      await soon(pair.b.close());
      expect(await soon(next)).toBeUndefined();
      expect((await soon(link.out.ended)).by).toBe("peer");
      await soon(link.in.ended);
    });
  });

  test(`${name}: traffic counts at least what was written`, async () => {
    await using pair = await openPair();
    const link = await pair.link();
    const stream = await openStreams(link);
    const before = link.out.traffic();
    await soon(stream.out.write(new Uint8Array(50_000)));
    await soon(stream.out.finish());
    await readAll(stream.in);
    const after = link.out.traffic();
    expect((after?.sentBytes ?? 0) - (before?.sentBytes ?? 0)).toBeGreaterThanOrEqual(50_000);
    expect(link.in.traffic()?.receivedBytes ?? 0).toBeGreaterThanOrEqual(50_000);
  });
}
