// The first file of a bundle: what is in it and what is not, for whoever gets it and for whoever sends it.

const MEANINGS: Readonly<Record<string, string>> = {
  "version.json": "the program that made this bundle",
  "machine.json": "operating system, processors, memory",
  "settings.json":
    "the settings as the command read them, with origins; secrets only as set or not",
  "config.json": "the settings that the running node goes by",
  "unit.txt": "the state of the systemd unit",
  "doctor.txt": "what peat-sidecar doctor says",
  "doctor.json": "the same for programs",
  "status.json": "the node at a glance",
  "ready.json": "readiness with reasons",
  "peers.json": "peers: names, addresses, paths, lag, why one is not connected",
  "topology.json": "how many peers there are",
  "collections.json": "names of collections, with the number of documents in each",
  "summary.json": "number of documents and tombstones, and the hash of all of them",
  "sync.json": "whether sync runs",
  "metrics.txt": "what Prometheus would read",
  "logs.ndjson": "the newest log lines that the node remembers",
};

export function printReadme(
  names: readonly string[],
  { madeAt, keepsIds }: { madeAt: Date; keepsIds: boolean },
): string {
  const lines = names.map((name) => {
    const failed = name.endsWith(".failed.txt");
    const meaning = failed ? "why this could not be had" : (MEANINGS[name] ?? "");
    return `  ${name.padEnd(24)} ${meaning}`;
  });
  const ids = keepsIds
    ? "Ids of documents stand as they are (--with-ids)."
    : "Ids of documents are replaced: equal ids by equal stand-ins, in this bundle only.";
  return `Support bundle of a peat-sidecar node, made at ${madeAt.toISOString()}.

${lines.join("\n")}

Not in it: contents of documents, formation secrets, tokens, encryption keys, private keys; where one of them would
stand there is [redacted]. ${ids}
In it: names of nodes and collections, host names, IP addresses, paths of files. Read it before you pass it on.
`;
}
