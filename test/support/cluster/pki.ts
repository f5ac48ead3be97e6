// A certificate authority of a test's own, by openssl: what proves the parts of a control plane to each other.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const DAYS = "30";

export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  readonly user: string;
  readonly group?: string;
  /** Names and addresses of a server, as in `DNS:localhost` and `IP:127.0.0.1`. */
  readonly servedAs?: readonly string[];
}

function openssl(...args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { stdin: "ignore" });
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr.toString().trim()}`);
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export class Pki {
  readonly #folder: string;
  readonly ca: Issued;

  /** Everything lies in `folder`, which must exist. */
  constructor(folder: string) {
    this.#folder = folder;
    this.ca = this.#paths("ca");
    const { certificate, key } = this.ca;
    const made = ["-subj", "/CN=test-cluster", "-days", DAYS, "-out", certificate, "-keyout", key];
    openssl("req", "-x509", ...NEW_KEY, ...made);
  }

  #paths(name: string): Issued {
    return {
      certificate: join(this.#folder, `${name}.crt`),
      key: join(this.#folder, `${name}.key`),
    };
  }

  /** A certificate for a client, and for a server where `servedAs` says as what. */
  issue(name: string, { user, group, servedAs }: Subject): Issued {
    const paths = this.#paths(name);
    const request = join(this.#folder, `${name}.csr`);
    const subject = `${group === undefined ? "" : `/O=${group}`}/CN=${user}`;
    openssl("req", ...NEW_KEY, "-subj", subject, "-out", request, "-keyout", paths.key);
    const extensions = join(this.#folder, `${name}.ext`);
    const names = servedAs === undefined ? "" : `subjectAltName=${servedAs.join(",")}\n`;
    writeFileSync(extensions, `extendedKeyUsage=clientAuth,serverAuth\n${names}`);
    const signer = ["-CA", this.ca.certificate, "-CAkey", this.ca.key, "-CAcreateserial"];
    const signed = ["-days", DAYS, "-extfile", extensions, "-out", paths.certificate];
    openssl("x509", "-req", "-in", request, ...signer, ...signed);
    return paths;
  }

  /** A key pair that signs service accounts' tokens; its public half lies in the key file too. */
  tokenKey(): string {
    const path = join(this.#folder, "tokens.key");
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path);
    return path;
  }
}
