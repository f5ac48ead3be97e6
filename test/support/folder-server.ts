// A program that serves a folder over HTTP as any web server does: bun folder-server.ts DIR, prints its port.
import { join, normalize } from "node:path";

const [, , folder = "."] = process.argv;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch({ url }) {
    const file = Bun.file(join(folder, normalize(decodeURIComponent(new URL(url).pathname))));
    return (await file.exists()) ? new Response(file) : new Response("", { status: 404 });
  },
});
console.log(server.port);
