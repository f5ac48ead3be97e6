import { describe, expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { Fault } from "../../src/base/faults.ts";
import { certificateMissing, makeCertificate } from "../support/certificate.ts";
import { EventClient, JSON_TYPE, startBroker } from "../support/start-broker.ts";
import { tempFolder } from "../support/temp-folder.ts";

describe("a broker with a certificate", () => {
  test.skipIf(certificateMissing !== undefined)("speaks TLS, and nothing else", async () => {
    using folder = tempFolder();
    const files = makeCertificate(folder);
    await using world = await startBroker({ tls: files });
    const { url, port } = world.broker;
    expect(url).toBe(`https://127.0.0.1:${port}`);
    const ca = await Bun.file(files.cert).text();
    const answer = await fetch(`${url}/api/v1/health`, { tls: { ca } });
    expect(await answer.text()).toBe('{"status":"healthy","node_id":"node-a"}');
    await expect(fetch(`${url}/api/v1/health`)).rejects.toThrow();
    await expect(fetch(`http://127.0.0.1:${port}/api/v1/health`)).rejects.toThrow();
  });

  test.skipIf(certificateMissing !== undefined)("is its own origin under https only", async () => {
    using folder = tempFolder();
    const files = makeCertificate(folder);
    await using world = await startBroker({ tls: files });
    const ca = await Bun.file(files.cert).text();
    const statusFrom = async (origin: string) => {
      const request = { headers: { origin }, tls: { ca } };
      return (await fetch(`${world.broker.url}/api/v1/peers`, request)).status;
    };
    expect(await statusFrom(world.broker.url)).toBe(200);
    expect(await statusFrom(world.broker.url.replace("https", "http"))).toBe(403);
  });

  test("does not start without its files, and names the setting", async () => {
    using folder = tempFolder();
    const missing = { cert: folder.file("no-cert.pem"), key: folder.file("no-key.pem") };
    const attempt = startBroker({ tls: missing });
    await expect(attempt).rejects.toThrow(Fault);
    await expect(attempt).rejects.toThrow(/PEAT_TLS_CERT names .*no-cert\.pem/);
  });

  test("does not start with files that hold something else", async () => {
    using folder = tempFolder();
    const files = { cert: folder.file("cert.pem"), key: folder.file("key.pem") };
    for (const path of Object.values(files)) writeFileSync(path, "not a certificate\n");
    const attempt = startBroker({ tls: files });
    await expect(attempt).rejects.toMatchObject({ code: "settings_invalid" });
    await expect(attempt).rejects.toThrow(/PEAT_TLS_CERT and PEAT_TLS_KEY/);
  });

  test.skipIf(certificateMissing !== undefined)(
    "shows an exchanged one to new connections, and keeps those that it has",
    async () => {
      using folder = tempFolder();
      using other = tempFolder();
      const [files, fresh] = [makeCertificate(folder), makeCertificate(other)];
      await using world = await startBroker({ tls: files });
      const { broker } = world;
      const ask = async (trusted: string) => {
        const answer = await fetch(`${broker.url}/api/v1/health`, {
          tls: { ca: trusted },
          keepalive: false,
        });
        return answer.status;
      };
      const [old, young] = [await Bun.file(files.cert).text(), await Bun.file(fresh.cert).text()];
      using client = await EventClient.open(`${broker.url}/api/v1/ws`, {}, old);
      for (const [from, to] of [
        [fresh.cert, files.cert],
        [fresh.key, files.key],
      ] as const) {
        copyFileSync(from, to);
        broker.reloadCertificate();
        // Half of a pair is nothing to be shown.
        if (from === fresh.cert) expect(await ask(old)).toBe(200);
      }
      expect(await ask(young)).toBe(200);
      await expect(ask(old)).rejects.toThrow();
      const put = await fetch(`${broker.url}/api/v1/documents/notes/a`, {
        method: "PUT",
        body: "{}",
        headers: JSON_TYPE,
        tls: { ca: young },
      });
      expect(put.status).toBe(201);
      const [event] = await client.events(1);
      expect(event).toMatchObject({ action: "created", doc_id: "a" });
      await broker.close();
      await client.until(() => client.closed !== undefined);
      await expect(ask(young)).rejects.toThrow();
    },
  );
});
