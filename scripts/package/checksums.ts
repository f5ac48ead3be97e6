// SHA256SUMS over everything that is published, and its detached signatures by a key that is given.
import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { publicKeyFile, signatures } from "./signatures.ts";

/** An Ed25519 private key in PEM, as `openssl genpkey -algorithm ed25519` makes one. Throws on any other. */
export function readSigningKey(path: string): KeyObject {
  const key = createPrivateKey(readFileSync(path, "utf8"));
  if (key.asymmetricKeyType !== "ed25519") {
    throw new Error(`${path} is a key for ${key.asymmetricKeyType}, not for Ed25519`);
  }
  return key;
}

export interface ChecksumOptions {
  readonly paths: readonly string[];
  /** Where the files are put. */
  readonly folder: string;
  readonly key: KeyObject | undefined;
  /** What OpenPGP signatures tell as theirs. */
  readonly time: Date;
}

/**
 * Writes SHA256SUMS, and with a key its signatures (.sig, .sshsig, .asc) and the public key peat-sidecar.pub; returns
 * their paths. To verify:
 * openssl pkeyutl -verify -rawin -pubin -inkey peat-sidecar.pub -in SHA256SUMS -sigfile SHA256SUMS.sig
 */
export async function writeChecksums(options: ChecksumOptions): Promise<readonly string[]> {
  const { paths, folder, key, time } = options;
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
  const publicKey = join(folder, "peat-sidecar.pub");
  await Bun.write(publicKey, publicKeyFile(key));
  const signed = Object.entries(signatures(Buffer.from(text), key, time));
  for (const [ending, bytes] of signed) await Bun.write(`${sums}.${ending}`, bytes);
  return [sums, ...signed.map(([ending]) => `${sums}.${ending}`), publicKey];
}
