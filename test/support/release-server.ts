// A program that serves a release over HTTP, well or badly: bun release-server.ts DIR, prints its port.
//
//   /good/NAME      as it is               /redirect/NAME  by two redirections
//   /missing/NAME   404                    /loop/NAME      redirected for ever
//   /half/NAME      closed in the middle   /short/NAME     half of it, as if it were whole
//   /other/NAME     other bytes, as many
//
// With `-file` behind the word only the package is served so: /half-file/NAME.
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { basename, join } from "node:path";

const [, , folder = "."] = process.argv;
const STATUS: Readonly<Record<number, string>> = { 200: "OK", 302: "Found", 404: "Not Found" };

interface Answer {
  readonly status: 200 | 302 | 404;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

function answerTo(path: string): Answer {
  const [, how = "", asked = ""] = path.split("/");
  const name = basename(asked);
  const isList = name.startsWith("SHA256SUMS");
  const word = how.endsWith("-file") && isList ? "good" : how.replace(/-file$/, "");
  const file = join(folder, name);
  if (word === "missing" || !existsSync(file)) return { status: 404 };
  if (word === "redirect") return { status: 302, headers: { Location: `/again/${name}` } };
  if (word === "again") return { status: 302, headers: { Location: `/good/${name}` } };
  if (word === "loop") return { status: 302, headers: { Location: path } };
  const body = readFileSync(file);
  const half = body.subarray(0, body.length >> 1);
  const length = (bytes: Uint8Array) => ({ "Content-Length": String(bytes.length) });
  if (word === "half") return { status: 200, headers: length(body), body: half };
  if (word === "short") return { status: 200, headers: length(half), body: half };
  if (word === "other") return { status: 200, headers: length(body), body: body.map((b) => b ^ 1) };
  return { status: 200, headers: length(body), body };
}

function answer(socket: Socket, head: string): void {
  const [line = ""] = head.split("\r\n");
  const { status, headers = {}, body } = answerTo(line.split(" ")[1] ?? "/");
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `HTTP/1.1 ${status} ${STATUS[status]}\r\nConnection: close\r\n${lines.join("")}\r\n`,
  );
  socket.end(body ?? "");
}

const server = createServer((socket) => {
  let head = "";
  // Who goes away in the middle is what some tests are about.
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes) => {
    head += bytes.toString("latin1");
    if (head.includes("\r\n\r\n")) answer(socket, head);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" ? address?.port : address);
});
