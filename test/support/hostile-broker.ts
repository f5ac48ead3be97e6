// Whatever may stand where a broker should: servers that answer every request alike, and wrongly.
import { createServer, type Socket } from "node:net";

export interface HostileServer extends AsyncDisposable {
  readonly url: string;
  /** How many it has been asked. */
  readonly questions: number;
}

/** Answers every connection by these bytes, then closes it or, with `isSilent`, says nothing more. */
async function listen(answer: (socket: Socket) => void): Promise<HostileServer> {
  const sockets = new Set<Socket>();
  let questions = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => {
      questions += 1;
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    get questions() {
      return questions;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function http(status: number, body: string | Uint8Array, headers = ""): (socket: Socket) => void {
  const bytes = Buffer.from(body);
  return (socket) => {
    socket.write(
      `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ncontent-length: ${bytes.length}\r\n${headers}connection: close\r\n\r\n`,
    );
    socket.end(bytes);
  };
}

const OBEYED = "\\u001b[2J\\u009b31m\\r\\nfake\\u202eline";
const EVIL = `"${OBEYED}"`;
const FIELDS = [
  "error",
  "document",
  "documents",
  "peers",
  "count",
  "next",
  "entries",
  "node_id",
  "ready",
  "checks",
  "listeners",
  "sync",
  "status",
  "collections",
  "settings",
  "lines",
  "value",
  "name",
  "filter",
  "running",
  "version",
  "explanation",
  "findings",
  "id",
  "collection",
];
/** Fields of the broker's answers, all of them of a wrong type, or of texts that a terminal would obey. */
const wrong = (value: string): string =>
  `{${FIELDS.map((name) => `"${name}":${value}`).join(",")}}`;

const evilDocument = `{"_id":${EVIL},${EVIL}:${EVIL},"a":[${EVIL}]}`;
const evilPeer = `{"id":${EVIL},"connected":false,"state":${EVIL},"last_failure":${EVIL},"version":${EVIL},"endpoint_id":${EVIL},"queued":-1,"rtt_ms":1e308}`;

export const HOSTILE_ANSWERS: Readonly<Record<string, (socket: Socket) => void>> = {
  "closes without a word": (socket) => socket.end(),
  "speaks another protocol": (socket) => socket.end("220 mail.example ESMTP\r\n"),
  "sends bytes without sense": (socket) => socket.end(Buffer.alloc(4096, 0xff)),
  "says nothing": () => undefined,
  "promises more than it sends": (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"peers":['),
  "sends a page of a proxy": http(200, "<html>welcome</html>"),
  "sends an empty body": http(200, ""),
  "sends what is no UTF-8": http(200, new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])),
  "sends null": http(200, "null"),
  "sends a list": http(200, "[]"),
  "sends an empty object": http(200, "{}"),
  "sends numbers for everything": http(200, wrong("5")),
  "sends nulls for everything": http(200, wrong("null")),
  "sends lists of nulls": http(200, wrong("[null,null]")),
  "sends texts that a terminal obeys": http(200, wrong(EVIL)),
  "sends documents that a terminal obeys": http(
    200,
    `{"documents":[${evilDocument}],"document":${evilDocument},"count":1,"id":${EVIL},"collection":${EVIL}}`,
  ),
  "sends peers that a terminal obeys": http(
    200,
    `{"peers":[${evilPeer}],"node_id":${EVIL},"checks":[{"name":${EVIL},"message":${EVIL}}],"listeners":[{"kind":${EVIL},"address":${EVIL}}],"entries":[{"id":1,"collection":${EVIL},"doc_id":${EVIL},"at_ms":1e300}]}`,
  ),
  "nests without end": http(200, `{"documents":${"[".repeat(100_000)}`),
  "gives the same page for ever": http(200, '{"documents":[{"_id":"a"}],"entries":[],"next":"a"}'),
  "sends elsewhere": http(302, "", "location: http://127.0.0.1:9/\r\n"),
  "refuses with a long sentence that a terminal obeys": http(
    500,
    `{"error":"${OBEYED}${"long ".repeat(50_000)}"}`,
  ),
  "has a status of its own": http(599, "{}"),
};

export const hostileServer = (answer: keyof typeof HOSTILE_ANSWERS): Promise<HostileServer> =>
  listen(HOSTILE_ANSWERS[answer] ?? (() => undefined));

/** Sends so many bytes of a JSON text that never ends. */
export const endlessServer = (bytes: number): Promise<HostileServer> =>
  listen((socket) => {
    const chunk = Buffer.alloc(1024 * 1024, 0x20);
    let sent = 0;
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n{"documents":[`);
    const pump = () => {
      while (sent < bytes && !socket.destroyed) {
        sent += chunk.length;
        if (!socket.write(chunk)) {
          socket.once("drain", pump);
          return;
        }
      }
    };
    pump();
  });
