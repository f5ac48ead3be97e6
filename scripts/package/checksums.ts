// SHA256SUMS over everything that is published, and its detached signature by a key that is given.
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** An Ed25519 private key in PEM, as `openssl genpkey -algorithm ed25519` makes one. Throws on any other. */
export function readSigningKey(path: string): KeyObject {
  const key = createPrivateKey(readFileSync(path, "utf8"));
  if (key.asymmetricKeyType !== "ed25519") {
    throw new Error(`${path} is a key for ${key.asymmetricKeyType}, not for Ed25519`);
  }
  return key;
}

/**
 * Writes SHA256SUMS, and with a key SHA256SUMS.sig and the public key peat-sidecar.pub; returns their paths. To verify:
 * openssl pkeyutl -verify -rawin -pubin -inkey peat-sidecar.pub -in SHA256SUMS -sigfile SHA256SUMS.sig
 */
export async function writeChecksums(
  paths: readonly string[],
  folder: string,
  key: KeyObject | undefined,
): Promise<readonly string[]> {
  const lines = await Promise.all(
    paths.map(async (path) => {
      const bytes = await Bun.file(path).bytes();
      const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
      return `${hash}  ${basename(path)}\n`;
    }),
  );
  const sums = join(folder, "SHA256SUMS");
  const text = lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join("");
  await Bun.write(sums, text);
  if (key === undefined) return [sums];
  const signature = join(folder, "SHA256SUMS.sig");
  const publicKey = join(folder, "peat-sidecar.pub");
  await Bun.write(signature, sign(null, Buffer.from(text), key));
  await Bun.write(publicKey, createPublicKey(key).export({ type: "spki", format: "pem" }));
  return [sums, signature, publicKey];
}
