// Who is let in, by which of several links, under which name, and what becomes of those who are not.
import { describe, expect, test } from "bun:test";
import { endOf, greetAs, helloFrame, joinAs, Stranger } from "../../scripts/hostile/stranger.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { parseNodeName, shortId } from "../../src/identity/peer.ts";
import { ALPN_GUEST } from "../../src/wire/hello.ts";
import {
  acquaint,
  allConnected,
  allEqual,
  LogLines,
  randomSecret,
  TestNode,
} from "../support/start-node.ts";

const secret = randomSecret();
const start = (name: string, secrets = [secret]) => TestNode.start({ name, secrets });
const targetOf = (node: TestNode) => ({ id: node.network.id, address: node.address });

test("both ends tell of a connection in the guide's words", async () => {
  using log = new LogLines();
  await using a = await start("node-a");
  await using b = await start("node-b");
  b.seek(a);
  await allConnected([a, b]);
  for (const [here, there] of [
    [a, b],
    [b, a],
  ] as const) {
    const line = await log.shows("Peer connected to Iroh", `peer=${there.name}`);
    expect(line).toContain(`endpoint_id=${shortId(there.network.id)} addresses=[`);
    // Of the addresses that both have, Iroh uses which it likes.
    expect(line).toMatch(/addresses=\[(?:127\.0\.0\.1|\[::1\]):\d+\]/);
    expect(line).toContain("INFO peat_mesh::peer_connector:");
    expect(here.coordinator.sessions.length).toBe(1);
  }
});

test("simultaneous dials end in one link, the same on both ends, and stay with it", async () => {
  for (let round = 0; round < 8; round += 1) {
    using log = new LogLines();
    await using a = await start("node-a");
    await using b = await start("node-b");
    acquaint([a, b]);
    await allConnected([a, b]);
    let before: readonly unknown[] = [];
    let looks = 0;
    const agreed = await waitFor("one link, the same for a while", 10_000, () => {
      const [ours, theirs] = [a.sessionWith(b), b.sessionWith(a)];
      looks = before[0] === ours && before[1] === theirs ? looks + 1 : 0;
      before = [ours, theirs];
      if (ours === undefined || theirs === undefined || looks < 25) return undefined;
      const isSame = ours.link.direction !== theirs.link.direction;
      return isSame && ours.isAgreed && theirs.isAgreed ? { ours, theirs } : undefined;
    });
    // Two ends, each with its link and perhaps those that were replaced.
    const connected = () => log.with("Peer connected to Iroh").length;
    const links = connected();
    await a.put("tracks:1", { n: 1 });
    await b.shows("tracks:1", '{"n":1}');
    await b.put("tracks:2", { n: 2 });
    await a.shows("tracks:2", '{"n":2}');
    expect(a.sessionWith(b)).toBe(agreed.ours);
    expect(b.sessionWith(a)).toBe(agreed.theirs);
    expect(connected()).toBe(links);
    const others = log
      .with("Peer disconnected")
      .filter((line) => !line.endsWith("connection stays"));
    expect(others).toEqual([]);
  }
});

test("a peer whose process died without a word is replaced when it comes back", async () => {
  using log = new LogLines();
  await using a = await start("node-a");
  // An endpoint that lives on but answers nothing any more: to us it looks like a process that was killed.
  const dead = await joinAs(targetOf(a), { formation: a.formation, name: "node-b" });
  const before = await waitFor("its admission", 10_000, () => a.coordinator.sessions[0]);
  await using b = await start("node-b");
  b.seek(a);
  // Quicker than any idle time of the transport.
  await waitFor("the new link", 10_000, () => {
    const [session] = a.coordinator.sessions;
    return (session !== undefined && session !== before) || undefined;
  });
  await a.put("tracks:1", { n: 1 });
  await b.shows("tracks:1", '{"n":1}');
  expect(await endOf(dead.connection)).toContain("another connection stays (code 5)");
  expect(log.with("ERROR")).toEqual([]);
  await dead.close();
});

test("two live nodes of one name: one told in full, the younger turned away, no document lost", async () => {
  using log = new LogLines();
  await using c = await start("node-c");
  await using first = await start("twin");
  await using second = await start("twin");
  await using between = await start("node-d");
  first.seek(c);
  await first.connected(c);
  await first.put("tracks:first", { n: 1 });
  await second.put("tracks:second", { n: 2 });
  // Somebody else knows the second one.
  second.seek(between);
  await second.connected(between);
  between.seek(c);
  second.seek(c);
  const line = await log.shows("ERROR", "Two live nodes have one name", "peer=twin");
  // Which of its addresses a twin is reached by is the transport's choice.
  const [duplicate] = c.coordinator.collisions;
  const [one = "", other = ""] = duplicate?.addresses ?? [];
  expect(duplicate?.name).toBe(first.name);
  expect(first.network.boundAddresses).toContain(one);
  expect(second.network.boundAddresses).toContain(other);
  for (const address of [one, other]) expect(line).toContain(address);
  await log.shows("Peer disconnected from Iroh peer=node-c reason=duplicate name");
  await allEqual([c, first, second, between], 2);
  // A machine that stands still while the first is asked whether it lives may have the second one stay.
  expect([first, second].filter((twin) => twin.sessionWith(c) !== undefined).length).toBe(1);
  expect(log.with("Two live nodes have one name").length).toBe(1);
  // It was ten times a second once: the one that is turned away comes back ever less often.
  const turnedAway = () => log.with("peer=node-c reason=duplicate name").length;
  const before = turnedAway();
  await Bun.sleep(3000);
  expect(turnedAway() - before).toBeLessThanOrEqual(6);
}, 60_000);

test("a static peer that is this node itself is one error line with both addresses", async () => {
  using log = new LogLines();
  await using a = await start("node-a");
  a.seek({ name: a.name, address: "127.0.0.1:11204" });
  const line = await log.shows("ERROR", "A static peer has this node's own identity");
  expect(line).toContain('addresses=["127.0.0.1:11204"]');
  expect(line).toContain(`own_addresses=["${a.address}"`);
  expect(line).toContain("PEAT_NODE_ID");
  expect(a.coordinator.sought()).toEqual([]);
});

test("while the secret is rolled over every two nodes connect", async () => {
  const [old, fresh] = [randomSecret(), randomSecret()];
  await using a = await start("node-a", [old]);
  await using b = await start("node-b", [old, fresh]);
  await using c = await start("node-c", [fresh, old]);
  acquaint([a, b, c]);
  // The first and the last are two steps apart, which no moment of the procedure is.
  await allConnected([a, b]);
  await allConnected([b, c]);
  await b.put("tracks:1", { n: 1 });
  await a.shows("tracks:1", '{"n":1}');
  await c.shows("tracks:1", '{"n":1}');
  expect(b.sessionWith(c)?.member.tag).toBe(c.formation.ownTag);
  expect(b.sessionWith(a)?.member.tag).toBe(a.formation.ownTag);

  await using d = await start("node-d", [old, fresh]);
  await using e = await start("node-e", [fresh, old]);
  await using f = await start("node-f", [fresh]);
  acquaint([d, e]);
  acquaint([e, f]);
  await allConnected([d, e]);
  await allConnected([e, f]);
});

describe("at every moment of a roll-over, whoever dials whom", () => {
  const [old, fresh] = [randomSecret(), randomSecret()];
  const steps = [[old], [old, fresh], [fresh, old], [fresh]] as const;
  const moments = steps.flatMap((before, step) => {
    const after = steps[step + 1];
    if (after === undefined) return [];
    const name = `step ${step} and step ${step + 1}`;
    return [
      [`${name}: the later dials`, after, before],
      [`${name}: the earlier dials`, before, after],
      [`step ${step} among themselves`, before, before],
    ] as const;
  });

  test.each(moments)("%s", async (_name, dialler, dialled) => {
    using log = new LogLines();
    await using a = await start("node-a", [...dialler]);
    await using b = await start("node-b", [...dialled]);
    a.seek(b);
    await allConnected([a, b]);
    await a.put("tracks:a", { n: 1 });
    await b.shows("tracks:a", '{"n":1}');
    await b.put("tracks:b", { n: 2 });
    await a.shows("tracks:b", '{"n":2}');
    // Each is known by the secret of its own identity, on both sides.
    expect(a.sessionWith(b)?.member.tag).toBe(b.formation.ownTag);
    expect(b.sessionWith(a)?.member.tag).toBe(a.formation.ownTag);
    expect(log.with("ERROR")).toEqual([]);
  });

  test("a name that is live under both secrets is two nodes of one name", async () => {
    using log = new LogLines();
    await using between = await start("node-c", [old, fresh]);
    await using first = await start("twin", [old, fresh]);
    await using second = await start("twin", [fresh, old]);
    first.seek(between);
    await first.connected(between);
    second.seek(between);
    await log.shows("ERROR", "Two live nodes have one name", "peer=twin");
    expect(between.sessionWith(first)?.link.remoteId).toBe(first.network.id);
  });
});

test("a node with another secret is refused, with the reason in the log and on its side", async () => {
  using log = new LogLines("debug");
  const sinceMs = performance.now();
  await using a = await start("node-a");
  await using other = await start("node-b", [randomSecret()]);
  // By its endpoint id: by name it would not even find this node.
  other.coordinator.handle("static", {
    kind: "seen",
    peer: {
      identity: { kind: "id", id: a.network.id },
      hosts: [{ host: "127.0.0.1", port: Number(a.address.split(":")[1]) }],
    },
  });
  const line = await log.shows("WARN", "Connection refused", "calls itself node-b");
  expect(line).toContain("address=127.0.0.1");
  await waitFor(
    "the reason",
    10_000,
    () =>
      other.coordinator.sought()[0]?.lastFailure?.includes("formation auth failed") || undefined,
  );
  expect(a.coordinator.sessions).toEqual([]);
  expect(other.coordinator.sessions).toEqual([]);
  // It goes on trying; the log does not go on telling.
  const told = await waitFor("more attempts", 30_000, () =>
    a.coordinator.refusedConnections >= 4 ? log.with("Connection refused").length : undefined,
  );
  // One line in ten seconds, however many there are.
  expect(told).toBeLessThanOrEqual(1 + Math.floor((performance.now() - sinceMs) / 10_000));
});

test("a node with another secret that is looked for by name is not mistaken for a member", async () => {
  await using a = await start("node-a");
  await using impostor = await start("node-b", [randomSecret()]);
  a.seek(impostor);
  await waitFor(
    "attempts",
    10_000,
    () => (a.coordinator.sought()[0]?.attempts ?? 0) >= 2 || undefined,
  );
  expect(a.coordinator.sought()[0]?.lastFailure).toBeDefined();
  expect(a.coordinator.sessions).toEqual([]);
});

test("a stranger that greets hears the code and the words of the older system, and nothing else", async () => {
  await using a = await start("node-a");
  const stranger = await Stranger.open();
  const connection = await stranger.connect(targetOf(a));
  const stream = await connection.openBi();
  await stream.send.writeAll([...helloFrame("node-b")]);
  expect(await endOf(connection)).toBe("closed by peer: formation auth failed (code 1)");
  await expect(stream.recv.readToEnd(1000)).rejects.toThrow();
  await stranger.close();
});

test("a member of a wrong name is no member, even with the formation's secret", async () => {
  await using a = await start("node-a");
  const seed = a.formation.endpointKey(parseNodeName("node-b")).seed.expose();
  for (const claimed of ["node-c", "", "node b", "x".repeat(300), "node-b\u0000"]) {
    const member = await Stranger.open({ seed });
    const greeting = greetAs(member, targetOf(a), { name: claimed });
    await expect(greeting).rejects.toThrow("formation auth failed");
    await member.close();
  }
  const member = await joinAs(targetOf(a), { formation: a.formation, name: "node-b" });
  await member.close();
});

test("a peer that speaks only the older protocol becomes a guest, and news of it changes nothing", async () => {
  using log = new LogLines("debug");
  await using a = await start("node-a");
  const name = parseNodeName("older-node");
  const seed = a.formation.endpointKey(name).seed.expose();
  const older = await Stranger.open({ seed, alpns: [ALPN_GUEST] });
  const serving = older.serve();
  a.seek({ name, address: older.address });
  const line = await log.shows("INFO", "Peer speaks only the older protocol");
  expect(line).toContain("peer=older-node");
  await waitFor("the guest", 20_000, () => a.coordinator.guests[0]);
  // Discovery says the same again and again; the verdict stands.
  for (let n = 0; n < 5; n += 1) a.seek({ name, address: older.address });
  await using b = await start("node-b");
  b.seek(a);
  await allConnected([a, b]);
  expect(a.coordinator.guests.map((guest) => guest.name)).toEqual([name]);
  expect(log.with("older protocol").length).toBe(1);
  await older.close();
  await serving;
});

test("a stop does not wait for a dial that nobody answers", async () => {
  const silent = await Bun.udpSocket({ hostname: "127.0.0.1" });
  await using a = await start("node-a");
  await using b = await start("node-b");
  a.seek(b);
  await a.connected(b);
  a.seek({ name: parseNodeName("nobody"), address: `127.0.0.1:${silent.port}` });
  await waitFor("the dial", 20_000, () => a.coordinator.sought().length === 2 || undefined);
  await b.put("tracks:1", { n: 1 });
  await a.shows("tracks:1", '{"n":1}');
  const sinceMs = performance.now();
  await a.stop();
  // The dial gives up after 30 s.
  expect(performance.now() - sinceMs).toBeLessThan(10_000);
  // The peer has been told, and does not find out by silence.
  await waitFor("the goodbye", 10_000, () => b.coordinator.sessions.length === 0 || undefined);
  silent.close();
});
