// bun scripts/network/door.ts PATH PORT: a unix socket that leads to a TCP port of loopback. Paths are the same in
// every network namespace and loopback is not, so this is how a node inside of one is asked from outside.
import { connect, createServer } from "node:net";

const [path = "", port = ""] = process.argv.slice(2);

createServer((outside) => {
  const inside = connect(Number(port), "127.0.0.1");
  // Either end goes with the other; what it was about shows to whoever asked.
  outside.on("error", () => inside.destroy());
  inside.on("error", () => outside.destroy());
  outside.pipe(inside);
  inside.pipe(outside);
}).listen(path);
