// Writes documents to a broker one after the other and remembers which were acknowledged; told `check`, it reads them
// back and says which are missing. Run as a program inside of another machine's network, it prints JSON lines.
//   bun acked-writer.ts URL TOKEN
import { createInterface } from "node:readline";

export type WriterLine =
  | { readonly kind: "acked"; readonly count: number; readonly pauseMs: number }
  | { readonly kind: "checked"; readonly count: number; readonly missing: readonly string[] };

/** What the broker answers for a document. */
type Body = { readonly document?: { readonly n?: number } };

/** A line tells of so many, with the longest pause between two of them. */
const ACKED_PER_LINE = 20;
const PAUSE_AFTER_FAILURE_MS = 20;

async function main(url: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const address = (id: string) => `${url}/api/v1/documents/load/${id}`;
  const acked: string[] = [];
  const print = (line: WriterLine) => console.log(JSON.stringify(line));
  let isWriting = true;

  const write = async () => {
    let lastAt = performance.now();
    let pauseMs = 0;
    for (let n = 0; isWriting; n += 1) {
      const id = `w${n}`;
      try {
        const body = JSON.stringify({ n });
        const answer = await fetch(address(id), { method: "PUT", headers, body });
        if (!answer.ok) throw new Error(String(answer.status));
        acked.push(id);
        const now = performance.now();
        pauseMs = Math.max(pauseMs, now - lastAt);
        lastAt = now;
        if (acked.length % ACKED_PER_LINE !== 0) continue;
        print({ kind: "acked", count: acked.length, pauseMs });
        pauseMs = 0;
      } catch {
        // Not acknowledged: nobody may expect it to be there, or not to be.
        await Bun.sleep(PAUSE_AFTER_FAILURE_MS);
      }
    }
  };

  const check = async () => {
    const missing: string[] = [];
    for (const id of acked) {
      const answer = await fetch(address(id));
      const body: Body = answer.ok ? ((await answer.json()) as Body) : {};
      if (body.document?.n !== Number(id.slice(1))) missing.push(id);
    }
    print({ kind: "checked", count: acked.length, missing });
  };

  const writing = write();
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== "check") continue;
    isWriting = false;
    await writing;
    await check();
  }
}

if (import.meta.main) await main(process.argv[2] ?? "", process.argv[3] ?? "");
