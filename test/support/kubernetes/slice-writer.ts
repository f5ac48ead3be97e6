// Writes EndpointSlices into a real API server, where no controller does.
import { readFileSync } from "node:fs";
import type { ControlPlane } from "../cluster/control-plane.ts";
import { endpointSlice, type SliceGiven } from "./slice.ts";

export class SliceWriter {
  readonly #slices: string;
  readonly #tls: { readonly ca: string; readonly cert: string; readonly key: string };

  constructor(plane: ControlPlane, namespace = "default") {
    this.#slices = `${plane.url}/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const writer = plane.pki.issue("slice-writer", { user: "writer", group: "system:masters" });
    this.#tls = {
      ca: readFileSync(plane.pki.ca.certificate, "utf8"),
      cert: readFileSync(writer.certificate, "utf8"),
      key: readFileSync(writer.key, "utf8"),
    };
  }

  /** Makes the slice, or replaces it. Resolves when the server has it. */
  async put(given: SliceGiven): Promise<void> {
    const made = await this.#send("POST", this.#slices, endpointSlice(given));
    if (made.status !== 409) return await taken(made);
    await taken(await this.#send("PUT", `${this.#slices}/${given.name}`, endpointSlice(given)));
  }

  async delete(name: string): Promise<void> {
    await taken(await this.#send("DELETE", `${this.#slices}/${name}`));
  }

  #send(method: string, url: string, body?: object): Promise<Response> {
    return fetch(url, {
      method,
      tls: this.#tls,
      keepalive: false,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

async function taken(answer: Response): Promise<void> {
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the API server answers ${answer.status}: ${text}`);
}
