// A certificate of a test's own for localhost, which is its own authority.
import type { TempFolder } from "./temp-folder.ts";

const openssl = Bun.which("openssl");

/** Why there can be no certificate, or undefined. */
export const certificateMissing = openssl === null ? "needs the program openssl" : undefined;

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** `names`: what it is for, as openssl's subjectAltName. */
export function makeCertificate(
  folder: TempFolder,
  names = "DNS:localhost,IP:127.0.0.1",
): CertificateFiles {
  const base = names.replaceAll(/[^A-Za-z0-9]/g, "-");
  const [cert, key] = [folder.file(`${base}.pem`), folder.file(`${base}-key.pem`)];
  const subject = ["-subj", "/CN=localhost", "-addext", `subjectAltName=${names}`];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const made = Bun.spawnSync([
    openssl ?? "openssl",
    ...["req", ...kind, ...subject, "-days", "2", "-keyout", key, "-out", cert],
  ]);
  if (made.exitCode !== 0) throw new Error(`openssl: ${made.stderr.toString()}`);
  return { cert, key };
}
