// One node's mDNS discovery as a process, for tests that put it into a namespace: prints its events.
//   bun mdns-node.ts NAME TAG PORT [BIND_HOST]; the line "close" on stdin ends it with a goodbye.
import { openLog, parseLogFilter } from "../../src/base/log.ts";
import { MdnsSource } from "../../src/discovery/mdns.ts";
import { type PeerEvent, parseNodeName, printHostPort } from "../../src/identity/peer.ts";

export type NodeLine =
  | { readonly kind: "seen"; readonly name: string; readonly hosts: readonly string[] }
  | { readonly kind: "gone"; readonly name: string }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "memory"; readonly rssBytes: number; readonly cpuMs: number }
  | { readonly kind: "started" | "closed"; readonly ms: number };

function print(line: NodeLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function nameOf(event: PeerEvent): string {
  const { identity } = event.kind === "seen" ? event.peer : event;
  return identity.kind === "name" ? identity.name : identity.id;
}

const [name = "", tag = "", port = "", bindHost = "0.0.0.0"] = process.argv.slice(2);
openLog({
  filter: parseLogFilter("info"),
  format: "text",
  colour: false,
  write: (line) => print({ kind: "log", line: line.trim() }),
});
const source = new MdnsSource({
  name: parseNodeName(name),
  port: Number(port),
  formationTag: tag,
  formationTags: [tag],
  bindHost,
});
const startMs = performance.now();
await source.start((event) => {
  const peer = nameOf(event);
  if (event.kind === "gone") print({ kind: "gone", name: peer });
  else print({ kind: "seen", name: peer, hosts: event.peer.hosts.map(printHostPort).sort() });
});
print({ kind: "started", ms: performance.now() - startMs });
for await (const line of console) {
  if (line === "memory") {
    Bun.gc(true);
    const { user, system } = process.cpuUsage();
    const { rss } = process.memoryUsage();
    print({ kind: "memory", rssBytes: rss, cpuMs: (user + system) / 1000 });
  }
  if (line === "close") break;
}
const closeMs = performance.now();
await source.close();
print({ kind: "closed", ms: performance.now() - closeMs });
process.exit(0);
