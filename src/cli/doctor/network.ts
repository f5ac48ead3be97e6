// Whether peers, relays, the API server and the agent can be reached from this machine, without a second mesh
// identity: names are resolved, and a QUIC endpoint is asked for its versions only.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect, isIP, type NetConnectOpts } from "node:net";
import { messageOf, systemCode } from "../../base/faults.ts";
import type { Config } from "../../config/settings.ts";
import { type HostPort, type PeerAddress, printHostPort } from "../../identity/peer.ts";
import { probeQuic } from "../../net/quic-probe.ts";
import { doubt, type Found, fault, good } from "./finding.ts";

const PROBE_MS = 4_000;
const CONNECT_MS = 4_000;
const LIST_MS = 8_000;
/** Hosts that are asked at a time. */
const AT_ONCE = 16;
const MDNS_PORT = 5353;

export interface NetworkFacts {
  readonly values: Partial<Config>;
  /** Peers with which the running node is connected: their addresses need no proof. */
  readonly connected: ReadonlySet<string>;
  /** Peers that the running node looks for in vain, whoever found them. */
  readonly away: ReadonlyMap<string, HostPort>;
  readonly isRunning: boolean;
}

export async function examineNetwork(facts: NetworkFacts): Promise<Found[]> {
  const { values, isRunning } = facts;
  const found = [
    ...(await examinePeers(facts)),
    ...(await inTurns(values.irohRelayUrls ?? [], examineRelay)),
    ...(isRunning ? [] : await examinePorts(values)),
  ];
  const { discovery = [], agentAddr } = values;
  if (discovery.includes("mdns")) found.push(await examineMdns());
  // A running node tells of its own discovery. What it calls its kubeconfig may name a program to be run, which must
  // not be run as whoever asks: that may be root.
  if (discovery.includes("kubernetes") && !isRunning) found.push(await examineKubernetes(values));
  if (agentAddr !== undefined) found.push(await examineAgent(agentAddr));
  return found;
}

async function inTurns<T>(
  items: readonly T[],
  examine: (item: T) => Promise<readonly Found[]>,
): Promise<Found[]> {
  const found: Found[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    const turn = await Promise.all(items.slice(from, from + AT_ONCE).map(examine));
    found.push(...turn.flat());
  }
  return found;
}

function nameOf({ identity }: PeerAddress): string {
  return identity.kind === "name" ? identity.name : identity.id.slice(0, 10);
}

async function examinePeers(facts: NetworkFacts): Promise<Found[]> {
  const { values, connected, away, isRunning } = facts;
  const asked = (values.staticPeers ?? []).filter(({ identity }) => {
    const name = identity.kind === "name" ? identity.name : identity.id;
    // A full link delays the question as it does everything else.
    return !isRunning || !connected.has(name);
  });
  const listed = asked.flatMap((peer) => peer.hosts.map((place) => [nameOf(peer), place] as const));
  const known = new Set(listed.map(([, place]) => printHostPort(place)));
  const found = [...away].filter(([, place]) => !known.has(printHostPort(place)));
  return await inTurns([...listed, ...found], async ([name, place]) => [
    await examineHost(name, place),
  ]);
}

async function examineHost(peer: string, place: HostPort): Promise<Found> {
  const told = printHostPort(place);
  const addresses = await resolve(place.host);
  if (typeof addresses === "string") {
    const remedy = "check PEAT_STATIC_PEERS and the resolver of this machine (/etc/resolv.conf)";
    return fault("unresolved", `${peer}: ${place.host} does not resolve (${addresses})`, remedy);
  }
  const answers = await Promise.all(
    addresses.map((host) => probeQuic({ host, port: place.port }, PROBE_MS)),
  );
  const answer = answers.find(({ kind }) => kind === "answers") ?? answers[0];
  if (answer?.kind === "answers") {
    const rtt = Math.max(1, Math.round(answer.rttMs));
    return good("reachable", `${peer}: a QUIC endpoint answers at ${told} after ${rtt} ms`);
  }
  const remedy = `check that ${peer} runs, its PEAT_IROH_BIND_PORT, and that UDP passes firewalls both ways`;
  if (answer?.kind === "refused") {
    return fault("unreachable", `${peer}: nobody listens at ${told} (UDP)`, remedy);
  }
  const why = answer?.kind === "unsent" ? `can't be sent to (${answer.cause})` : "does not answer";
  return fault("unreachable", `${peer}: ${told} ${why} (UDP)`, remedy);
}

/** Its IP addresses, or why there are none. */
async function resolve(host: string): Promise<readonly string[] | string> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    return systemCode(error) || messageOf(error);
  }
}

async function examineRelay(url: string): Promise<Found[]> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replaceAll(/[[\]]/g, "");
  const number = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
  const failure = await tryConnect({ host, port: number });
  if (failure === undefined) return [good("relay", `the relay ${url} takes connections`)];
  const remedy = "check PEAT_IROH_RELAY_URLS, the name's resolution, and that the relay runs";
  return [fault("relay", `the relay ${url} can't be reached (${failure})`, remedy)];
}

/** Undefined when somebody takes the connection. */
function tryConnect(to: NetConnectOpts): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(to);
    const end = (failure: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => end(`no answer within ${CONNECT_MS / 1000} s`), CONNECT_MS);
    socket.on("connect", () => end(undefined));
    socket.on("error", (error) => end(systemCode(error) || error.message));
  });
}

/** Whether the ports are free, where no node of ours has them. */
async function examinePorts(values: Partial<Config>): Promise<Found[]> {
  const { irohBindAddr, irohBindPort, brokerAddr, brokerPort } = values;
  const found: Found[] = [];
  if (irohBindAddr !== undefined && irohBindPort !== undefined && irohBindPort !== 0) {
    const failure = await tryBind({ address: irohBindAddr, port: irohBindPort, isShared: false });
    found.push(
      portFound(failure, { what: `UDP port ${irohBindPort}`, name: "PEAT_IROH_BIND_PORT" }),
    );
  }
  if (brokerAddr !== undefined && brokerPort !== undefined && brokerPort !== 0) {
    const failure = tryListen(brokerAddr, brokerPort);
    found.push(portFound(failure, { what: `TCP port ${brokerPort}`, name: "PEAT_BROKER_PORT" }));
  }
  return found;
}

function portFound(
  failure: string | undefined,
  { what, name }: { what: string; name: string },
): Found {
  if (failure === undefined) return good("port", `${what} is free`);
  const told = failure === "EADDRINUSE" ? "another process has it" : failure;
  return fault(
    "port",
    `${what} can't be used: ${told}`,
    `stop that process (ss -lunpt shows it), or set ${name}`,
  );
}

function tryBind({
  address,
  port,
  isShared,
}: {
  address: string;
  port: number;
  isShared: boolean;
}): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({
      type: isIP(address) === 6 ? "udp6" : "udp4",
      reuseAddr: isShared,
    });
    const end = (failure: string | undefined) => {
      socket.close();
      resolve(failure);
    };
    socket.on("error", (error) => end(systemCode(error) || error.message));
    socket.bind(port, address, () => end(undefined));
  });
}

function tryListen(hostname: string, port: number): string | undefined {
  try {
    Bun.listen({ hostname, port, exclusive: true, socket: { data: () => undefined } }).stop(true);
    return undefined;
  } catch (error) {
    return systemCode(error) || messageOf(error);
  }
}

async function examineMdns(): Promise<Found> {
  const failure = await tryBind({ address: "0.0.0.0", port: MDNS_PORT, isShared: true });
  if (failure === undefined) return good("mdns", `UDP port ${MDNS_PORT} can be shared for mDNS`);
  const remedy = "stop the process that keeps it to itself, or use PEAT_DISCOVERY=static";
  return doubt("mdns", `UDP port ${MDNS_PORT} can't be shared for mDNS (${failure})`, remedy);
}

/** The request that discovery makes; its refusal names what RBAC lacks. */
async function examineKubernetes(values: Partial<Config>): Promise<Found> {
  const remedy =
    "give the service account list and watch of endpointslices (the chart's Role does), or set KUBECONFIG";
  const { discoveryNamespace, discoveryLabelSelector, kubeconfig } = values;
  try {
    const { KubernetesClient } = await import("../../discovery/kubernetes-client.ts");
    const selector = discoveryLabelSelector ?? "";
    const client = new KubernetesClient({ namespace: discoveryNamespace, selector, kubeconfig });
    await client.list(undefined, AbortSignal.timeout(LIST_MS));
    return good("kubernetes", `EndpointSlices of namespace ${client.namespace} can be listed`);
  } catch (error) {
    return fault("kubernetes", messageOf(error), remedy);
  }
}

async function examineAgent(target: NonNullable<Config["agentAddr"]>): Promise<Found> {
  const isUnix = target.kind === "unix";
  const to = isUnix ? { path: target.path } : { host: target.host, port: target.port };
  const told = isUnix ? target.path : printHostPort(target);
  const failure = await tryConnect(to);
  if (failure === undefined) return good("agent", `the remote agent takes connections at ${told}`);
  const remedy = "start it, or correct PEAT_AGENT_ADDR; the node tries again by itself";
  return doubt("agent", `the remote agent can't be reached at ${told} (${failure})`, remedy);
}
