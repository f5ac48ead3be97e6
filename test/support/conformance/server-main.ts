// The server that connectconformance tests, a process for each kind of connection: this program's listener in front
// of the service of the tests. Told on standard input how to listen; says on standard output where it does.
import { readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../../src/base/clock.ts";
import { Secret } from "../../../src/base/secret.ts";
import { RpcServer } from "../../../src/rpc/server.ts";
import { tempFolder } from "../temp-folder.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/conformance_pb.ts";
import { conformanceService } from "./service.ts";

/** Bytes of the length in front of each message. */
const LENGTH_BYTES = 4;

const asked = fromBinary(
  ServerCompatRequestSchema,
  new Uint8Array(readFileSync(0)).subarray(LENGTH_BYTES),
);
const creds = asked.useTls ? asked.serverCreds : undefined;
const folder = tempFolder();
const files = { cert: folder.file("cert.pem"), key: folder.file("key.pem") };
if (creds !== undefined) {
  await Bun.write(files.cert, creds.cert);
  await Bun.write(files.key, creds.key);
}
const server = await RpcServer.open({
  clock: systemClock,
  listen: [{ kind: "tcp", host: "127.0.0.1", port: 0 }],
  ...(creds === undefined ? {} : { tls: files }),
  access: {
    token: new Secret("not asked for on loopback"),
    isTokenConfigured: false,
    corsOrigins: [],
  },
  deadlines: { defaultMs: 120_000, maxMs: 300_000 },
  connections: {
    headerReadMs: 30_000,
    idleMs: 300_000,
    pingMs: 30_000,
    pingAckMs: 20_000,
    streamsMax: 128,
  },
  documentBytesMax: 1024 ** 2,
  services: conformanceService(asked.messageReceiveLimit),
});
process.once("SIGTERM", () => {
  folder[Symbol.dispose]();
  process.exit(0);
});

const [at] = server.addresses;
const answer = toBinary(ServerCompatResponseSchema, {
  $typeName: "connectrpc.conformance.v1.ServerCompatResponse",
  host: "127.0.0.1",
  port: at?.kind === "tcp" ? at.port : 0,
  pemCert: creds?.cert ?? new Uint8Array(),
});
const told = new Uint8Array(LENGTH_BYTES + answer.length);
new DataView(told.buffer).setUint32(0, answer.length);
told.set(answer, LENGTH_BYTES);
await Bun.write(Bun.stdout, told);
