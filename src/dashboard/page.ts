// The dashboard as the broker serves it: one page that holds no data, so that anybody may have it.
import { bundlePage } from "./bundle.ts";

export interface ServedPage {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  /** Value of Content-Security-Policy. */
  readonly policy: string;
}

/** Made once, when it is first asked for; a failure is not kept. */
export class Dashboard {
  #page: Promise<ServedPage> | undefined;

  readonly page = (): Promise<ServedPage> => {
    this.#page ??= servePage().catch((error: unknown) => {
      this.#page = undefined;
      throw error;
    });
    return this.#page;
  };
}

async function servePage(): Promise<ServedPage> {
  const { html, policy } = await bundlePage();
  const body = new TextEncoder().encode(html);
  const hash = new Bun.CryptoHasher("sha256").update(body).digest("hex");
  return { body, gzipped: Bun.gzipSync(body), etag: `"${hash.slice(0, 32)}"`, policy };
}
