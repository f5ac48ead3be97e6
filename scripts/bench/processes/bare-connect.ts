// The same two calls on Connect as it comes, with a Map for a store: no disk, no limits, no deadlines, no access.
// Runs under Node and under Bun: `<runtime> bare-connect.js` prints its port, and ends with its input.
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { PeatSidecar } from "../../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";

const documents = new Map<string, string>();

const handler = connectNodeAdapter({
  routes: (router) =>
    router.service(PeatSidecar, {
      putDocument({ collection, docId, jsonData }) {
        const document: unknown = JSON.parse(jsonData);
        documents.set(`${collection}:${docId}`, JSON.stringify(document));
        return {};
      },
      getDocument({ collection, docId }) {
        const jsonData = documents.get(`${collection}:${docId}`);
        return jsonData === undefined ? {} : { jsonData };
      },
    }),
});

const server = createServer(handler);
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port);
});
process.stdin.on("end", () => process.exit(0)).resume();
