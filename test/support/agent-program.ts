// A remote agent as a program of its own, for machines: answers its calls on loopback, and writes a document through
// the node's socket, as whatever user it is. Compiled by the test that installs it.
import { FakeAgent } from "./fake-agent.ts";

export const AGENT_PORT = 7070;
/** In the collection `notes`. */
export const AGENT_DOCUMENT = "from-agent";

const SOCKET = "/run/peat-sidecar.sock";
const PAUSE_MS = 200;

async function isWritten(): Promise<boolean> {
  try {
    const answer = await fetch("http://localhost/peat.sidecar.v1.PeatSidecar/PutDocument", {
      unix: SOCKET,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        collection: "notes",
        docId: AGENT_DOCUMENT,
        jsonData: '{"by":"agent"}',
      }),
    });
    return answer.ok;
  } catch {
    // The node is not there yet.
    return false;
  }
}

if (import.meta.main) {
  await FakeAgent.start({ protocol: "http/1.1", port: AGENT_PORT });
  while (!(await isWritten())) await Bun.sleep(PAUSE_MS);
}
