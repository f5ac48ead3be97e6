// The end of the listeners' certificate, as long as there is one to read.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { MetricRegistry } from "../../../src/base/prometheus.ts";
import { addCertificate } from "../../../src/metrics/process.ts";
import { certificateMissing, makeCertificate } from "../../support/certificate.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const NAME = "peat_tls_certificate_expiry_timestamp_seconds";

function shown(path: string): number | undefined {
  const registry = new MetricRegistry();
  addCertificate(registry, path);
  const line = registry
    .print()
    .split("\n")
    .find((text) => text.startsWith(`${NAME} `));
  return line === undefined ? undefined : Number(line.slice(NAME.length));
}

test.skipIf(certificateMissing !== undefined)(
  `the end of a certificate is told, and nothing of a file that is none (${certificateMissing ?? "openssl"})`,
  () => {
    using folder = tempFolder();
    // Made for two days.
    const leftHours = ((shown(makeCertificate(folder).cert) ?? 0) - Date.now() / 1000) / 3600;
    expect(leftHours).toBeGreaterThan(46);
    expect(leftHours).toBeLessThan(50);
    const broken = folder.file("broken.pem");
    writeFileSync(broken, "-----BEGIN CERTIFICATE-----\n");
    expect([shown(broken), shown(folder.file("none.pem"))]).toEqual([undefined, undefined]);
  },
);
